// An iSCSI connection in full feature phase (RFC 7143 §4.2 to §4.5): takes PDUs off the stream, hands commands to the
// session, brings their data to where they belong, and answers everything that is not a SCSI command.
//
// A connection belongs to one reactor. One coroutine, serve(), reads; what is sent is gathered by the SendQueue.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "io/buffer_pool.h"
#include "io/executor.h"
#include "io/stream.h"
#include "iscsi/negotiation.h"
#include "iscsi/pdu.h"
#include "iscsi/pdu_control.h"
#include "iscsi/text.h"
#include "target/discovery.h"
#include "target/session.h"
#include "transport/pdu_reader.h"
#include "transport/send_queue.h"

namespace peerlane::target {

/// What a connection asks of the service around it.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;

  /// All sessions of a target node, on any reactor (task management that reaches across sessions).
  virtual std::vector<std::shared_ptr<Session>> sessions_of(const TargetNode& target) = 0;

  /// The targets that `session`'s initiator, whose connection `stream` is, may see.
  virtual std::vector<VisibleTarget> visible_targets(const Session& session, const io::Stream& stream) = 0;
};

class Connection {
 public:
  /// `stream`'s login is over: `stat_sn` is that of the next response, `negotiator` the login's. The reader has taken
  /// all bytes of the login.
  Connection(ConnectionHost& host, io::Executor& executor, io::Stream& stream, transport::PduReader& reader,
             std::shared_ptr<Session> session, iscsi::Negotiator negotiator, std::uint16_t cid, iscsi::StatSn stat_sn);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Serves the initiator until one side ends it; then all tasks have ended and nothing is being sent any more.
  io::Task<void> serve();

  /// Asks the initiator to log out (RFC 7143 §11.9.1, event 1), and closes when it does not within
  /// limits::kLogoutTimeout.
  void request_logout();

  /// Ends the connection: serve() returns soon. `why` goes to the log. Any further call does nothing.
  void close(std::string why);

  // --- For tasks ---

  /// Numbers a PDU and queues it.
  void send(const iscsi::R2t& pdu);
  void send(const iscsi::DataIn& pdu, ByteView data, io::Buffer buffer);
  void send(const iscsi::ScsiResponse& pdu, ByteView data);

  /// Aborts the tasks of other sessions of the target: those of `nexuses` in `unit` (task_management.cc).
  io::Task<void> abort_tasks_of(std::vector<NexusName> nexuses, const LogicalUnit& unit);

  /// A Target Transfer Tag that no R2T or NOP-In of late has had; never the reserved one.
  std::uint32_t new_transfer_tag();

 private:
  enum class Next : bool { kStop, kGoOn };

  // Reading (connection.cc)
  io::Task<Next> dispatch();
  io::Task<Next> on_scsi_command();
  io::Task<Next> on_data_out();
  io::Task<Next> on_nop_out();
  io::Task<Next> on_text();
  io::Task<Next> on_task_management();
  io::Task<Next> on_logout();
  io::Task<Next> bring_in_data(IscsiTask& task, bool final, bool start = false);
  io::Task<Next> skip_data();
  io::Task<Next> reject(iscsi::RejectReason reason, const char* what);
  Next lost(const Error& error);
  bool take_number(bool immediate, iscsi::CmdSn cmd_sn);
  void done_with_number(bool immediate);
  const char* forbidden_data(const iscsi::ScsiCommand& pdu) const;

  // Text in full feature phase (connection_text.cc)
  Result<void> answer_keys();
  Next send_text(const iscsi::TextRequest& request);

  // Task management (task_management.cc)
  io::Task<void> manage_tasks(iscsi::TaskManagementRequest request);
  io::Task<iscsi::TaskFunctionResponse> carry_out(iscsi::TaskManagementRequest request);
  io::Task<iscsi::TaskFunctionResponse> manage_unit(iscsi::TaskFunction function, LogicalUnit& unit);
  io::Task<iscsi::TaskFunctionResponse> abort_task(iscsi::TaskManagementRequest request);
  io::Task<void> reset_target(iscsi::TaskFunction function);
  io::Task<void> reset_everywhere(const LogicalUnit* unit);

  // The watch (connection.cc)
  void watch();
  void end_starved_tasks();
  void ping();

  /// Gives a PDU its StatSN, ExpCmdSN and MaxCmdSN, and encodes it. `counts`: it uses its StatSN up.
  template <typename P>
  transport::SendQueue::Pdu number(P pdu, bool counts) {
    pdu.stat_sn = counts ? stat_sn_++ : stat_sn_;
    pdu.exp_cmd_sn = session_->window().exp_cmd_sn();
    pdu.max_cmd_sn = session_->window().max_cmd_sn();
    return transport::SendQueue::encoded(pdu);
  }

  ConnectionHost& host_;
  io::Executor& executor_;
  io::Stream& stream_;
  transport::PduReader& reader_;
  const std::shared_ptr<Session> session_;
  const std::uint16_t cid_;
  iscsi::StatSn stat_sn_;
  transport::SendQueue out_;
  bool closing_ = false;
  std::string why_;
  std::uint32_t transfer_tag_ = 0;

  iscsi::Negotiator negotiator_;
  iscsi::TextAssembler text_;
  iscsi::TextWriter text_answer_;
  std::uint32_t text_tag_ = iscsi::kReservedTag;  // of the text exchange in progress

  io::Timer timer_;
  io::TimePoint heard_;                           // when the initiator last sent something
  std::uint32_t ping_tag_ = iscsi::kReservedTag;  // of our NOP-In that has no answer yet
  io::TimePoint pinged_;
  bool logout_requested_ = false;
  io::TimePoint logout_deadline_;
  io::Gate functions_;  // task management functions in progress
};

}  // namespace peerlane::target
