// For tests: a target on a TCP port of the loopback, with one small disk at LUN 0, on the reactor of the session that
// is tested. It follows the rules but where a test says otherwise: what it answers to a command, whether it takes
// logins, when its connections end.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "initiator/session.h"
#include "initiator/testing/scripted_target.h"
#include "io/listener.h"
#include "scsi/capacity.h"
#include "scsi/inquiry.h"
#include "scsi/opcodes.h"
#include "scsi/sense_codes.h"
#include "scsi/vpd.h"

namespace peerlane::initiator::testing {

class StandInTarget {
 public:
  /// What becomes of a command.
  struct Answer {
    enum class Kind : std::uint8_t { kStatus, kSilence, kCut };
    Kind kind = Kind::kStatus;
    scsi::Status status = scsi::Status::kGood;
    std::optional<scsi::Sense> sense = {};
    std::vector<std::uint8_t> data = {};
  };
  static Answer check_condition(scsi::SenseKey key, scsi::SenseCode code) {
    return {.status = scsi::Status::kCheckCondition, .sense = scsi::Sense{.key = key, .code = code}};
  }

  explicit StandInTarget(io::Reactor& reactor) : reactor_(reactor) {
    const int fd = io::listen_on("127.0.0.1", 0).value_or(-1);
    const std::string address = io::local_address(fd);
    port_ = static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
    listener_ = std::make_unique<io::Listener>(reactor, fd);
    io::spawn(accept_all());
  }

  // --- What a test may change at any time ---

  std::uint64_t blocks = 2048;      // of the disk, 512 bytes each
  std::string serial = "first";     // who the disk is
  bool refusing = false;            // closes new connections
  std::string moved;                // where it sends who logs in: a TargetAddress
  bool silent = false;              // answers nothing on new connections
  std::uint32_t first_window = 32;  // commands that a new connection may send before it gets an answer
  std::function<std::optional<Answer>(const iscsi::ScsiCommand&)> on_command;  // nothing: what the disk answers

  // --- What it has seen ---

  unsigned count(scsi::OperationCode operation) const { return counts_[static_cast<std::uint8_t>(operation)]; }
  unsigned aborts() const { return aborts_; }
  const std::vector<std::uint8_t>& data() const { return data_; }  // that came with the last command
  const std::vector<iscsi::Isid>& logins() const { return logins_; }
  unsigned logouts() const { return logouts_; }

  /// How a session gets here.
  SessionOptions options() const {
    SessionOptions options;
    options.link.host = "127.0.0.1";
    options.link.port = port_;
    options.login.initiator_name = "iqn.2026-11.dev.peerlane:initiator";
    options.login.target_name = "iqn.2026-11.dev.peerlane:target";
    options.reconnect_least = std::chrono::milliseconds(5);
    options.reconnect_most = std::chrono::milliseconds(20);
    return options;
  }

  /// Ends all connections.
  void cut() {
    for (const auto& connection : connections_) connection->stream.shutdown();
  }

  /// Ends everything. Once, before it goes.
  io::Task<void> close() {
    co_await listener_->close();
    cut();
    co_await running_.drained();
    co_await io::yield(reactor_);
  }

 private:
  struct Connection {
    Connection(io::Reactor& reactor, int fd) : stream(reactor, fd), target(stream) {}
    io::SocketStream stream;
    ScriptedTarget target;
  };

  io::Task<void> accept_all() {
    const io::Gate::Pass pass(running_);
    for (;;) {
      const auto fd = co_await listener_->accept();
      if (!fd) co_return;
      connections_.push_back(std::make_unique<Connection>(reactor_, *fd));
      io::spawn(serve(*connections_.back()));
    }
  }

  io::Task<void> serve(Connection& connection) {
    const io::Gate::Pass pass(running_);
    if (!refusing) {
      const bool logged_in = co_await log_in(connection.target);
      bool going_on = logged_in;
      while (going_on) going_on = co_await answer_next(connection);
    }
    co_await connection.stream.close();
    std::erase_if(connections_, [&](const auto& each) { return each.get() == &connection; });
  }

  /// False: the connection is over.
  io::Task<bool> log_in(ScriptedTarget& target) {
    target.window = first_window;
    for (;;) {
      const bool received = co_await target.receive();
      if (!received) co_return false;
      if (silent) continue;
      const auto request = target.as<iscsi::LoginRequest>();
      iscsi::LoginResponse response;
      response.transit = request.transit;
      response.current_stage = request.current_stage;
      response.next_stage = request.next_stage;
      response.isid = request.isid;
      response.initiator_task_tag = request.initiator_task_tag;
      if (!moved.empty()) {
        response.status = iscsi::LoginStatus::kMovedTemporarily;
        const std::string text = "TargetAddress=" + moved + '\0';
        std::vector<std::uint8_t> where(text.begin(), text.end());
        co_await target.send(response, true, std::move(where));
        co_return false;
      }
      const bool last = request.next_stage == iscsi::Stage::kFullFeature;
      if (last) response.tsih = 7;
      std::string text;
      if (!last) text = std::string("AuthMethod=None\0TargetPortalGroupTag=1\0", 39);
      std::vector<std::uint8_t> data(text.begin(), text.end());
      co_await target.send(response, true, std::move(data));
      if (!last) continue;
      logins_.push_back(request.isid);
      co_return true;
    }
  }

  io::Task<bool> answer_next(Connection& connection) {
    ScriptedTarget& target = connection.target;
    const bool received = co_await target.receive();
    if (!received) co_return false;
    switch (target.opcode()) {
      case iscsi::Opcode::kScsiCommand: {
        const auto command = target.as<iscsi::ScsiCommand>();
        ++counts_[command.cdb[0]];
        data_ = target.data();
        Answer answer = answer_to(command);
        if (answer.kind == Answer::Kind::kCut) co_return false;
        if (answer.kind == Answer::Kind::kStatus) co_await send(target, command, std::move(answer));
        co_return true;
      }
      case iscsi::Opcode::kTaskManagementRequest: {
        ++aborts_;
        iscsi::TaskManagementResponse done;
        done.initiator_task_tag = target.as<iscsi::TaskManagementRequest>().initiator_task_tag;
        co_await target.send(done, true);
        co_return true;
      }
      case iscsi::Opcode::kNopOut: {
        iscsi::NopIn pong;
        pong.initiator_task_tag = target.as<iscsi::NopOut>().initiator_task_tag;
        co_await target.send(pong, true);
        co_return true;
      }
      case iscsi::Opcode::kLogoutRequest: {
        ++logouts_;
        iscsi::LogoutResponse done;
        done.initiator_task_tag = target.as<iscsi::LogoutRequest>().initiator_task_tag;
        co_await target.send(done, true);
        co_return false;
      }
      default:
        ADD_FAILURE() << "a PDU that no test expects: " << static_cast<unsigned>(target.opcode());
        co_return false;
    }
  }

  static io::Task<void> send(ScriptedTarget& target, iscsi::ScsiCommand command, Answer answer) {
    if (!answer.data.empty()) {
      iscsi::DataIn pdu;
      pdu.initiator_task_tag = command.initiator_task_tag;
      answer.data.resize(std::min<std::size_t>(answer.data.size(), command.expected_data_transfer_length));
      pdu.final = pdu.status_present = true;
      pdu.residual_count = command.expected_data_transfer_length - static_cast<std::uint32_t>(answer.data.size());
      pdu.underflow = pdu.residual_count != 0;
      co_await target.send(pdu, true, std::move(answer.data));
      co_return;
    }
    iscsi::ScsiResponse pdu;
    pdu.initiator_task_tag = command.initiator_task_tag;
    pdu.status = static_cast<std::uint8_t>(answer.status);
    std::vector<std::uint8_t> segment;
    if (answer.sense) {
      segment.resize(2 + scsi::kMaxSenseBytes);
      const std::size_t size = scsi::encode_sense(*answer.sense, false, ByteSpan(segment).subspan(2));
      put_be16(segment, 0, static_cast<std::uint16_t>(size));
      segment.resize(2 + size);
    }
    if (answer.status != scsi::Status::kGood) {
      pdu.residual_count = command.expected_data_transfer_length;
      pdu.underflow = pdu.residual_count != 0;
    }
    co_await target.send(pdu, true, std::move(segment));
  }

  Answer answer_to(const iscsi::ScsiCommand& command) const {
    if (on_command) {
      if (auto answer = on_command(command)) return std::move(*answer);
    }
    using scsi::OperationCode;
    const Answer unknown = check_condition(scsi::SenseKey::kIllegalRequest, scsi::sense_codes::kInvalidOperationCode);
    switch (static_cast<OperationCode>(command.cdb[0])) {
      case OperationCode::kInquiry:
        return {.data = inquiry(command)};
      case OperationCode::kServiceActionIn16: {
        std::vector<std::uint8_t> data(scsi::kCapacity16Bytes);
        if (command.cdb[1] != static_cast<std::uint8_t>(scsi::kReadCapacity16)) return unknown;
        scsi::encode_capacity16({.blocks = {blocks}}, data);
        return {.data = std::move(data)};
      }
      case OperationCode::kRead16:
        return {.data = std::vector<std::uint8_t>(command.expected_data_transfer_length, 0x11)};
      case OperationCode::kWrite16:
      case OperationCode::kTestUnitReady:
        return {};
      default:
        return unknown;
    }
  }

  std::vector<std::uint8_t> inquiry(const iscsi::ScsiCommand& command) const {
    std::vector<std::uint8_t> data(4096);
    const bool vital = (command.cdb[1] & 1) != 0;
    const std::array pages{scsi::VpdPage::kSupportedPages, scsi::VpdPage::kUnitSerialNumber};
    if (!vital) {
      scsi::StandardInquiry standard;
      standard.vendor = "STANDIN ";
      standard.product = "DISK            ";
      standard.revision = "1   ";
      data.resize(scsi::encode_inquiry(standard, data));
    } else if (command.cdb[2] == static_cast<std::uint8_t>(scsi::VpdPage::kUnitSerialNumber)) {
      data.resize(scsi::encode_unit_serial_number({}, serial, data));
    } else {
      data.resize(scsi::encode_supported_pages({}, pages, data));
    }
    return data;
  }

  io::Reactor& reactor_;
  std::uint16_t port_ = 0;
  std::unique_ptr<io::Listener> listener_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::array<unsigned, 256> counts_{};
  unsigned aborts_ = 0;
  std::vector<std::uint8_t> data_;
  std::vector<iscsi::Isid> logins_;
  unsigned logouts_ = 0;
  io::Gate running_;
};

}  // namespace peerlane::initiator::testing
