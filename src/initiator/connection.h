// An iSCSI connection in full feature phase, seen from the initiator (RFC 7143 §4.2 to §4.5): sends commands as far as
// the target's command window allows, sends their data as the target asks for it, brings what it answers to the
// callers' buffers, and watches that it is alive.
//
// Belongs to one reactor. One coroutine, serve(), reads; what is sent is gathered by the SendQueue. Error recovery
// level 0: whatever is not as it must be ends the connection, and the session logs in again. When serve() has ended, no
// byte of a caller's buffer is read or written any more, and every command has ended.
//
// Commands are in a table of fixed size; nothing is allocated for one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "initiator/command_slot.h"
#include "initiator/login.h"
#include "initiator/request.h"
#include "io/event.h"
#include "io/executor.h"
#include "io/stream.h"
#include "iscsi/pdu.h"
#include "iscsi/pdu_control.h"
#include "iscsi/text.h"
#include "transport/pdu_reader.h"
#include "transport/send_queue.h"

namespace peerlane::initiator {

/// What a connection tells the session around it.
class ConnectionHost {
 public:
  /// An asynchronous SCSI event of a logical unit (RFC 7143 §11.9.1, event 0).
  virtual void scsi_event(iscsi::LunField lun, const scsi::Sense& sense) = 0;

 protected:
  ConnectionHost() = default;
  ~ConnectionHost() = default;
};

struct ConnectionOptions {
  unsigned depth = limits::kInitiatorQueueDepth;                 // commands in flight
  io::Duration nop_interval = limits::kInitiatorNopInterval;     // silence until a NOP-Out is sent
  io::Duration nop_timeout = limits::kInitiatorNopTimeout;       // silence after it until the connection is dropped
  io::Duration function_timeout = limits::kTaskFunctionTimeout;  // a task management function without an answer
  std::uint16_t cid = 0;
};

class Connection {
 public:
  /// The login that led to `login` was made over `stream` and `reader`; all bytes of it have been taken.
  Connection(ConnectionHost& host, io::Executor& executor, io::Stream& stream, transport::PduReader& reader,
             const LoginOutcome& login, const ConnectionOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Reads until one side ends the connection; then all commands have ended and nothing is under way any more.
  io::Task<void> serve();

  /// Sends a command and waits for its end. At most `depth` may be under way; their data are at most 4 GiB - 1.
  io::Task<Outcome> execute(const Request& request);

  /// A task management function on `lun` (LOGICAL UNIT RESET and the like): the target's answer. Errors: the connection
  /// has ended.
  io::Task<Result<iscsi::TaskFunctionResponse>> manage(iscsi::TaskFunction function, iscsi::LunField lun,
                                                       std::uint32_t referenced_tag, iscsi::CmdSn referenced_sn);

  /// Sends one text of full feature phase, `key`=`value`, and gathers the whole answer; one at a time. Errors: the
  /// connection has ended.
  io::Task<Result<std::string>> exchange_text(std::string_view key, std::string_view value);

  /// Logs out, so that the target ends the session in order, and closes; waits at most limits::kLogoutTimeout for the
  /// target's answer.
  io::Task<void> logout();

  /// Ends the connection: serve() returns soon. Any further call does nothing.
  void close(int code, std::string why);

  /// Whether it goes on. `why` it does not is there from close() on.
  bool open() const { return !closing_; }
  const Error& why() const { return why_; }
  /// Seconds to wait before the session logs in again, where the target said so (Time2Wait).
  std::optional<std::uint16_t> time2wait() const { return time2wait_; }

 private:
  friend struct CommandSlot;
  enum class Next : bool { kStop, kGoOn };

  // Reading (connection.cc)
  io::Task<Next> dispatch();
  io::Task<Next> on_data_in();
  io::Task<Next> receive_data(CommandSlot& slot, iscsi::DataIn pdu);
  Next data_is_in(CommandSlot& slot, const iscsi::DataIn& pdu);
  io::Task<Next> on_response();
  io::Task<Next> receive_response(CommandSlot& slot, iscsi::ScsiResponse pdu);
  Next response_is_in(CommandSlot& slot, const iscsi::ScsiResponse& pdu);
  Next on_r2t();
  io::Task<Next> finish_pdu();
  Next wrong(std::string_view what);
  Next lost(const Error& error);
  CommandSlot* find(std::uint32_t tag);
  bool take_stat_sn(iscsi::StatSn stat_sn);
  void take_window(iscsi::CmdSn exp_cmd_sn, iscsi::CmdSn max_cmd_sn);
  void end_all();
  void end_of(CommandSlot& slot, Ending ending);
  void settle(CommandSlot& slot);
  const char* status_of(CommandSlot& slot, bool overflow, bool underflow, std::uint32_t residual);

  // Sending (connection_send.cc)
  void submit(CommandSlot& slot);
  void send_waiting();
  void send(CommandSlot& slot);
  void send_unsolicited(CommandSlot& slot, std::uint32_t from, std::uint32_t to);
  void send_data();
  bool window_open() const { return cmd_sn_ <= max_cmd_sn_ && !draining_; }
  void data_came_back();

  // Everything else (connection_control.cc)
  io::Task<Next> on_nop_in();
  io::Task<Next> on_function_response();
  io::Task<Next> on_text_response();
  io::Task<Next> on_logout_response();
  io::Task<Next> on_async_message();
  io::Task<Next> on_reject();
  io::Task<Next> read_small();
  void watch();
  void watch_commands(io::TimePoint now);
  void ping();
  void start_draining(std::uint16_t seconds);
  io::Task<void> abort(CommandSlot& slot);
  io::Task<void> run_logout();

  /// Encodes a request PDU after giving it its numbers. `immediate` ones do not use their CmdSN up.
  template <typename P>
  transport::SendQueue::Pdu number(P pdu) {
    pdu.cmd_sn = pdu.immediate ? cmd_sn_ : cmd_sn_++;
    pdu.exp_stat_sn = exp_stat_sn_;
    return transport::SendQueue::encoded(pdu);
  }

  ConnectionHost& host_;
  io::Executor& executor_;
  io::Stream& stream_;
  transport::PduReader& reader_;
  const iscsi::Parameters parameters_;
  const ConnectionOptions options_;
  transport::SendQueue out_;

  iscsi::CmdSn cmd_sn_;  // of the next command
  iscsi::CmdSn max_cmd_sn_;
  iscsi::StatSn exp_stat_sn_;

  std::unique_ptr<CommandSlot[]> slots_;
  SlotList free_;
  SlotList waiting_;        // for the window
  SlotList data_;           // have been asked for data that is not queued yet
  unsigned data_pdus_ = 0;  // queued with callers' data
  unsigned sent_ = 0;       // commands that the target knows of

  std::array<std::uint8_t, 512> small_{};  // a data segment that is no command's data: sense data, a rejected header
  std::size_t small_size_ = 0;

  bool closing_ = false;
  Error why_{0, {}};
  std::optional<std::uint16_t> time2wait_;
  io::Event closed_;

  // One task management function at a time.
  std::uint32_t function_tag_ = iscsi::kReservedTag;
  std::uint16_t function_count_ = 0;
  std::optional<iscsi::TaskFunctionResponse> function_answer_;
  io::Event function_changed_;
  io::TimePoint function_deadline_;
  io::Gate background_;

  std::uint32_t text_tag_ = iscsi::kReservedTag;
  iscsi::TextAssembler text_{limits::kSendTargetsBytes};
  bool text_whole_ = false;
  io::Event text_changed_;

  io::Timer timer_;
  io::Duration tick_;
  io::TimePoint heard_;  // when the target last sent something
  io::TimePoint pinged_;
  bool pinging_ = false;   // our NOP-Out has no answer yet
  bool draining_ = false;  // the target wants us to log out: nothing new is sent
  io::TimePoint drain_deadline_;
  bool logging_out_ = false;
};

}  // namespace peerlane::initiator
