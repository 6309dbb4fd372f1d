// For tests: a session in full feature phase on one end of a socket pair, and an initiator made of PDUs on the other,
// both coroutines of one reactor. What the initiator sends and gets is seen PDU by PDU.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "io/reactor.h"
#include "io/socket_stream.h"
#include "iscsi/pdu.h"
#include "iscsi/pdu_control.h"
#include "target/connection.h"
#include "target/target_node.h"
#include "transport/pdu_reader.h"
#include "transport/testing/wire_end.h"

namespace peerlane::target::testing {

inline constexpr std::uint8_t kRead10 = 0x28;
inline constexpr std::uint8_t kWrite10 = 0x2a;

/// A disk whose reads, writes and zeroing wait until they are let go.
class StuckDevice final : public block::Device {
 public:
  explicit StuckDevice(std::unique_ptr<block::Device> disk) : disk_(std::move(disk)) {}

  io::Event let_go;
  unsigned waiting = 0;

  block::Geometry geometry() const override { return disk_->geometry(); }
  block::Capabilities capabilities() const override { return disk_->capabilities(); }
  block::Identity identity() const override { return disk_->identity(); }
  std::uint32_t memory_alignment() const override { return disk_->memory_alignment(); }
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override {
    co_await wait();
    auto result = co_await disk_->read(offset, into);
    co_return result;
  }
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, block::WriteFlags flags) override {
    co_await wait();
    auto result = co_await disk_->write(offset, from, flags);
    co_return result;
  }
  io::Task<Result<void>> flush() override { return disk_->flush(); }
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override {
    return disk_->unmap(offset, length);
  }
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override {
    co_await wait();
    auto result = co_await disk_->write_zeroes(offset, length, may_unmap);
    co_return result;
  }
  io::Task<Result<std::vector<block::Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                          std::size_t most) override {
    return disk_->allocation(offset, length, most);
  }
  Result<bool> refresh_size() override { return false; }

 private:
  io::Task<void> wait() {
    ++waiting;
    co_await let_go;
    --waiting;
  }

  std::unique_ptr<block::Device> disk_;
};

/// The initiator's end of the wire.
class LoopbackInitiator : public transport::testing::WireEnd {
 public:
  using WireEnd::WireEnd;

  iscsi::CmdSn cmd_sn{1};

  template <typename P>
  io::Task<void> send(P pdu, std::vector<std::uint8_t> data = {}) {
    pdu.data_segment_length = static_cast<std::uint32_t>(data.size());
    co_await send_bare(pdu, std::move(data));
  }

  /// A READ(10) or WRITE(10) (kRead10, kWrite10) of `blocks` 512-byte blocks, numbered.
  iscsi::ScsiCommand command(std::uint8_t operation, std::uint32_t tag, std::uint32_t lba, std::uint16_t blocks) {
    iscsi::ScsiCommand pdu;
    pdu.read = operation == kRead10;
    pdu.write = operation == kWrite10;
    pdu.initiator_task_tag = tag;
    pdu.expected_data_transfer_length = blocks * 512u;
    pdu.cmd_sn = cmd_sn++;
    pdu.cdb[0] = operation;
    put_be32(pdu.cdb, 2, lba);
    put_be16(pdu.cdb, 7, blocks);
    return pdu;
  }

  iscsi::TaskManagementRequest function(iscsi::TaskFunction function, std::uint32_t tag, std::uint32_t referenced) {
    iscsi::TaskManagementRequest pdu;
    pdu.immediate = true;
    pdu.function = function;
    pdu.initiator_task_tag = tag;
    pdu.referenced_task_tag = referenced;
    pdu.cmd_sn = cmd_sn;
    pdu.ref_cmd_sn = cmd_sn - 1;
    return pdu;
  }
};

/// One session to a target with one LUN.
class Loopback final : public ConnectionHost {
 public:
  /// The first session of a new target.
  Loopback(io::Reactor& reactor, std::unique_ptr<block::Device> disk) : Loopback(reactor, std::make_shared<Target>()) {
    LogicalUnitOptions options;
    options.target_name = node().name();
    node().device.add(scsi::Lun{0}, std::make_unique<LogicalUnit>(std::move(disk), options));
  }
  /// A further session to `other`'s target.
  Loopback(io::Reactor& reactor, const Loopback& other) : Loopback(reactor, other.target_) {}

  iscsi::Parameters parameters;  // before serve()
  std::unique_ptr<LoopbackInitiator> initiator;
  TargetNode& node() { return target_->node; }
  LogicalUnit& unit() { return node().device.unit(scsi::Lun{0}); }
  Connection& connection() { return *connection_; }
  Session& session() { return *session_; }
  bool served() const { return served_; }

  /// Opens the session, with no unit attention pending, and serves it in the background.
  void serve() {
    SessionIdentity identity;
    identity.initiator = "iqn.2026-11.dev.peerlane:initiator";
    identity.tsih = static_cast<std::uint16_t>(target_->sessions.size() + 1);
    identity.target = &node();
    auto nexus = node().device.attach({identity.initiator, identity.tsih, 1});
    nexus->find(scsi::Lun{0})->attentions().take();
    session_ = std::make_shared<Session>(reactor_, reactor_.buffers(), identity, initiator->cmd_sn, std::move(nexus));
    session_->parameters() = parameters;
    target_->sessions.push_back(session_);
    connection_ =
        std::make_unique<Connection>(*this, reactor_, *target_end_, *reader_, session_,
                                     iscsi::Negotiator(iscsi::Preferences()), std::uint16_t{0}, iscsi::StatSn(1));
    io::spawn(run());
  }

  /// Cuts the wire, and waits until both ends are done.
  io::Task<void> end() {
    initiator_end_->shutdown();
    while (!served_) co_await ended_;
    co_await initiator_end_->close();
    co_await target_end_->close();
    connection_.reset();
    std::erase(target_->sessions, session_);
    session_.reset();
  }

  std::vector<std::shared_ptr<Session>> sessions_of(const TargetNode&) override { return target_->sessions; }
  std::vector<VisibleTarget> visible_targets(const Session&, const io::Stream&) override { return {}; }

 private:
  struct Target {
    TargetNode node{declaration()};
    std::vector<std::shared_ptr<Session>> sessions;
  };

  Loopback(io::Reactor& reactor, std::shared_ptr<Target> target) : reactor_(reactor), target_(std::move(target)) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    target_end_ = std::make_unique<io::SocketStream>(reactor, ends[0]);
    initiator_end_ = std::make_unique<io::SocketStream>(reactor, ends[1]);
    reader_ = std::make_unique<transport::PduReader>(*target_end_);
    initiator = std::make_unique<LoopbackInitiator>(*initiator_end_);
  }

  io::Task<void> run() {
    co_await connection_->serve();
    served_ = true;
    ended_.wake_all();
  }

  static TargetDeclaration declaration() {
    TargetDeclaration declared;
    declared.name = "iqn.2026-11.dev.peerlane:test";
    return declared;
  }

  io::Reactor& reactor_;
  const std::shared_ptr<Target> target_;
  std::unique_ptr<io::SocketStream> target_end_;
  std::unique_ptr<io::SocketStream> initiator_end_;
  std::unique_ptr<transport::PduReader> reader_;
  std::shared_ptr<Session> session_;
  std::unique_ptr<Connection> connection_;
  bool served_ = false;
  io::Event ended_;
};

}  // namespace peerlane::target::testing
