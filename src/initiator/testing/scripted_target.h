// For tests: a connection of the initiator in full feature phase on one end of a socket pair, and a target made of PDUs
// on the other, both coroutines of one reactor. What the target gets and sends is seen PDU by PDU.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "initiator/connection.h"
#include "io/reactor.h"
#include "io/socket_stream.h"
#include "iscsi/pdu.h"
#include "iscsi/pdu_control.h"
#include "transport/pdu_reader.h"
#include "transport/testing/wire_end.h"

namespace peerlane::initiator::testing {

/// The target's end of the wire.
class ScriptedTarget : public transport::testing::WireEnd {
 public:
  using WireEnd::WireEnd;

  iscsi::StatSn stat_sn{1};
  iscsi::CmdSn exp_cmd_sn{1};
  std::uint32_t window = 32;

  /// Sends `pdu` with its numbers filled in; `counts`: it uses its StatSN up.
  template <typename P>
  io::Task<void> send(P pdu, bool counts, std::vector<std::uint8_t> data = {}) {
    pdu.stat_sn = counts ? stat_sn++ : stat_sn;
    pdu.exp_cmd_sn = exp_cmd_sn;
    pdu.max_cmd_sn = exp_cmd_sn + (window - 1);
    if constexpr (requires { pdu.data_segment_length; }) {
      pdu.data_segment_length = static_cast<std::uint32_t>(data.size());
    }
    co_await send_bare(pdu, std::move(data));
  }

  /// As that of every end, and takes the number of a command.
  io::Task<bool> receive() {
    const bool received = co_await WireEnd::receive();
    if (received && !header().immediate() && opcode() != iscsi::Opcode::kDataOut) ++exp_cmd_sn;
    co_return received;
  }

  /// GOOD, or another status, for the command of that tag.
  io::Task<void> respond(std::uint32_t tag, std::uint8_t status = 0) {
    iscsi::ScsiResponse pdu;
    pdu.initiator_task_tag = tag;
    pdu.status = status;
    co_await send(pdu, true);
  }
};

/// Both ends of the wire.
class Wire final : public ConnectionHost {
 public:
  explicit Wire(io::Reactor& reactor) : reactor_(reactor) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    near_ = std::make_unique<io::SocketStream>(reactor, ends[0]);
    far_ = std::make_unique<io::SocketStream>(reactor, ends[1]);
    reader_ = std::make_unique<transport::PduReader>(*near_);
    target = std::make_unique<ScriptedTarget>(*far_);
    login.cmd_sn = iscsi::CmdSn(1);
    login.max_cmd_sn = iscsi::CmdSn(32);
    login.exp_stat_sn = iscsi::StatSn(1);
  }

  LoginOutcome login;  // before serve()
  ConnectionOptions options;
  std::unique_ptr<ScriptedTarget> target;
  std::vector<scsi::Sense> events;
  Connection& connection() { return *connection_; }
  bool served() const { return served_; }

  /// Serves the initiator's connection in the background.
  void serve() {
    connection_ = std::make_unique<Connection>(*this, reactor_, *near_, *reader_, login, options);
    io::spawn(run());
  }

  /// Waits until the connection has ended.
  io::Task<void> ended() {
    while (!served_) co_await ended_;
  }

  /// Cuts the wire, and waits until both ends are done.
  io::Task<void> end() {
    far_->shutdown();
    co_await ended();
    co_await near_->close();
    co_await far_->close();
    connection_.reset();
  }

  void scsi_event(iscsi::LunField, const scsi::Sense& sense) override { events.push_back(sense); }

 private:
  io::Task<void> run() {
    co_await connection_->serve();
    served_ = true;
    ended_.wake_all();
  }

  io::Reactor& reactor_;
  std::unique_ptr<io::SocketStream> near_;
  std::unique_ptr<io::SocketStream> far_;
  std::unique_ptr<transport::PduReader> reader_;
  std::unique_ptr<Connection> connection_;
  bool served_ = false;
  io::Event ended_;
};

}  // namespace peerlane::initiator::testing
