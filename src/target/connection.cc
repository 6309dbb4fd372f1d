#include "target/connection.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "base/log.h"
#include "scsi/sense_codes.h"

namespace peerlane::target {
namespace {

constexpr auto kWatchInterval = std::chrono::seconds(1);

Completion aborted_command(scsi::SenseCode code) {
  return Completion::check({scsi::SenseKey::kAbortedCommand, code, {}, {}});
}

}  // namespace

Connection::Connection(ConnectionHost& host, io::Executor& executor, io::Stream& stream, transport::PduReader& reader,
                       std::shared_ptr<Session> session, iscsi::Negotiator negotiator, std::uint16_t cid,
                       iscsi::StatSn stat_sn)
    : host_(host),
      executor_(executor),
      stream_(stream),
      reader_(reader),
      session_(std::move(session)),
      cid_(cid),
      stat_sn_(stat_sn),
      out_(executor, stream),
      negotiator_(std::move(negotiator)),
      timer_(executor, [this] { watch(); }),
      heard_(executor.now()) {
  const iscsi::Parameters& parameters = session_->parameters();
  reader_.set_digests(parameters.header_digest, parameters.data_digest);
  out_.set_digests(parameters.header_digest, parameters.data_digest);
  session_->set_connection(this);
}

Connection::~Connection() {
  session_->set_connection(nullptr);
}

// --- The end ---

void Connection::close(std::string why) {
  if (closing_) return;
  closing_ = true;
  why_ = std::move(why);
  out_.abandon();
  stream_.shutdown();
}

void Connection::request_logout() {
  if (closing_ || logout_requested_) return;
  logout_requested_ = true;
  logout_deadline_ = executor_.now() + limits::kLogoutTimeout;
  iscsi::AsyncMessage pdu;
  pdu.event = iscsi::AsyncEvent::kLogoutRequested;
  pdu.parameter3 =
      static_cast<std::uint16_t>(std::chrono::duration_cast<std::chrono::seconds>(limits::kLogoutTimeout).count());
  out_.push(number(pdu, true));
}

io::Task<void> Connection::serve() {
  timer_.arm_after(kWatchInterval);
  Next next = Next::kGoOn;
  while (next == Next::kGoOn && !closing_) {
    co_await out_.wait_for_room();
    auto read = co_await reader_.next();
    // Nothing more begins in a session that has been ended: its successor may be at work already.
    if (closing_) break;
    if (read) {
      next = co_await dispatch();
    } else {
      next = lost(read.error());
    }
  }
  timer_.disarm();
  close("");
  co_await session_->abort_tasks(nullptr);
  co_await session_->end_copies(io::TimePoint::max());
  co_await functions_.drained();
  co_await session_->drained();
  co_await out_.drain();
  log::info("session {} ended: {}", session_->identity().text(), why_);
}

/// The stream gave up: says why, unless we ended it ourselves.
Connection::Next Connection::lost(const Error& error) {
  switch (error.code) {
    case ENODATA:
      close("the initiator closed the connection without a logout");
      break;
    case EBADMSG:
      close("a header digest was wrong, so nothing that follows can be trusted");
      break;
    case ETIMEDOUT:
      close("the initiator no longer acknowledges what it is sent");
      break;
    default:
      close("connection lost: " + error.text());
      break;
  }
  return Next::kStop;
}

// --- Reading ---

/// Handles the PDU whose headers have been read.
io::Task<Connection::Next> Connection::dispatch() {
  heard_ = executor_.now();
  if (reader_.data_left() > session_->parameters().our_max_recv_data_segment_length) {
    close(fmt::format("a data segment of {} bytes exceeds MaxRecvDataSegmentLength", reader_.data_left()));
    return io::ready(Next::kStop);
  }
  switch (reader_.header().opcode()) {
    case iscsi::Opcode::kScsiCommand:
      return on_scsi_command();
    case iscsi::Opcode::kDataOut:
      return on_data_out();
    case iscsi::Opcode::kNopOut:
      return on_nop_out();
    case iscsi::Opcode::kTextRequest:
      return on_text();
    case iscsi::Opcode::kTaskManagementRequest:
      return on_task_management();
    case iscsi::Opcode::kLogoutRequest:
      return on_logout();
    case iscsi::Opcode::kLoginRequest:
      return reject(iscsi::RejectReason::kProtocolError, "a Login Request in full feature phase");
    case iscsi::Opcode::kSnack:
      return reject(iscsi::RejectReason::kSnackReject, "a SNACK although ErrorRecoveryLevel is 0");
    default:
      return reject(iscsi::RejectReason::kCommandNotSupported, "an operation code that no initiator sends");
  }
}

/// Whether a request is to be executed now. With one connection, requests come in order: one that does not has been
/// lost or invented, and is ignored as one outside the window is (RFC 7143 §4.2.2.1).
bool Connection::take_number(bool immediate, iscsi::CmdSn cmd_sn) {
  if (immediate) return true;
  iscsi::CommandWindow& window = session_->window();
  return cmd_sn == window.exp_cmd_sn() && window.arrive(cmd_sn) == iscsi::CommandWindow::Arrival::kDeliver;
}

/// A request that became no task gives its place in the window back.
void Connection::done_with_number(bool immediate) {
  if (!immediate) session_->window().complete();
}

io::Task<Connection::Next> Connection::skip_data() {
  auto skipped = co_await reader_.skip();
  if (!skipped) co_return lost(skipped.error());
  co_return Next::kGoOn;
}

/// Rejects the PDU just read (RFC 7143 §11.17), with its header as data.
io::Task<Connection::Next> Connection::reject(iscsi::RejectReason reason, const char* what) {
  log::warning("session {}: rejected {}: {}", session_->identity().text(), iscsi::name(reader_.header().opcode()),
               what);
  iscsi::Reject pdu;
  pdu.reason = reason;
  pdu.data_segment_length = iscsi::kBhsBytes;
  out_.push_copy(number(pdu, true), reader_.bhs());
  return skip_data();
}

// --- SCSI Command and Data-Out ---

/// What is wrong with the data that a command brings or announces; null if nothing is.
const char* Connection::forbidden_data(const iscsi::ScsiCommand& pdu) const {
  const iscsi::Parameters& parameters = session_->parameters();
  if (!pdu.final && parameters.initial_r2t) return "unsolicited data announced although InitialR2T is Yes";
  if (pdu.data_segment_length == 0) return nullptr;
  if (!pdu.write) return "immediate data although W is 0";
  if (!parameters.immediate_data) return "immediate data although ImmediateData is No";
  if (pdu.data_segment_length > parameters.first_burst_length) return "immediate data exceed FirstBurstLength";
  if (pdu.data_segment_length > pdu.expected_data_transfer_length) return "immediate data exceed the expected length";
  return nullptr;
}

io::Task<Connection::Next> Connection::on_scsi_command() {
  const auto pdu = iscsi::ScsiCommand::decode(reader_.bhs());
  if (!pdu) return reject(pdu.error().reason, pdu.error().field);
  const auto ahs = iscsi::decode_ahs(reader_.ahs());
  if (!ahs) return reject(ahs.error().reason, ahs.error().field);
  if (session_->discovery())
    return reject(iscsi::RejectReason::kProtocolError, "a SCSI command in a discovery session");
  if (pdu->immediate && session_->immediate_tasks() >= limits::kImmediateCommands) {
    return reject(iscsi::RejectReason::kImmediateCommandReject, "too many immediate commands in progress");
  }
  if (!take_number(pdu->immediate, pdu->cmd_sn)) return skip_data();

  const char* wrong = forbidden_data(*pdu);
  iscsi::RejectReason reason = iscsi::RejectReason::kProtocolError;
  if (pdu->read && pdu->write) {
    wrong = "bidirectional commands are not supported";
    reason = iscsi::RejectReason::kCommandNotSupported;
  } else if (session_->tasks().find(pdu->initiator_task_tag) != nullptr) {
    wrong = "its Initiator Task Tag is in use";
    reason = iscsi::RejectReason::kTaskInProgress;
  }
  if (wrong != nullptr) {
    done_with_number(pdu->immediate);
    return reject(reason, wrong);
  }
  IscsiTask& task = session_->new_task();
  task.begin(*this, *pdu, ahs->extended_cdb);
  if (pdu->data_segment_length == 0) {
    session_->start(task);
    return io::ready(Next::kGoOn);
  }
  task.begin_data();
  // If all data of the command have arrived, the device server finds them there and does not wait.
  const bool start = reader_.all_here() && task.make_room_for_all(reader_.data_left());
  if (!start) session_->start(task);
  return bring_in_data(task, pdu->final, start);
}

io::Task<Connection::Next> Connection::on_data_out() {
  const auto pdu = iscsi::DataOut::decode(reader_.bhs());
  if (!pdu) return reject(pdu.error().reason, pdu.error().field);
  IscsiTask* const task = session_->tasks().find(pdu->initiator_task_tag);
  // Data of a task that was aborted, or has failed, may still come for a while (RFC 7143 §11.5.1): nobody misses them.
  if (task == nullptr || task->failed()) return skip_data();
  if (const char* const wrong = task->accept(*pdu)) {
    // Data that are lost or out of order end their task (RFC 7143 §7.9, at error recovery level 0).
    log::warning("session {}: a command ended, since its Data-Out went wrong: {}", session_->identity().text(), wrong);
    task->fail(aborted_command(scsi::sense_codes::kIncorrectAmountOfData));
    session_->settle(*task);
    return skip_data();
  }
  task->begin_data();
  return bring_in_data(*task, pdu->final);
}

/// Receives the data segment of a PDU straight into the buffer that the device server waits with, if it does. `start`:
/// the task begins after that.
io::Task<Connection::Next> Connection::bring_in_data(IscsiTask& task, bool final, bool start) {
  bool intact = true;
  Result<void> got;
  while (reader_.data_left() != 0 && got) {
    const ByteSpan place = task.next_place(reader_.data_left());
    if (place.empty()) {
      task.filled(reader_.data_left());
      break;
    }
    got = co_await reader_.read(place);
    task.filled(place.size());
  }
  if (got) {
    auto finished = co_await reader_.skip();  // what nobody has use for, padding, digest
    if (finished) {
      intact = *finished;
    } else {
      got = std::unexpected(finished.error());
    }
  }
  if (!got || !intact) task.fail(aborted_command(scsi::sense_codes::kProtocolServiceCrcError));
  task.end_data(final);
  if (start) {
    session_->start(task);
  } else {
    session_->settle(task);
  }
  if (!got) co_return lost(got.error());
  if (!intact) {
    // At error recovery level 0 the task ends with CHECK CONDITION (RFC 7143 §7.8); Reject tells the initiator why.
    const Next next = co_await reject(iscsi::RejectReason::kDataDigestError, "wrong data digest");
    co_return next;
  }
  co_return Next::kGoOn;
}

void Connection::send(const iscsi::R2t& pdu) {
  out_.push(number(pdu, false));
}

void Connection::send(const iscsi::DataIn& pdu, ByteView data, io::Buffer buffer) {
  out_.push(number(pdu, pdu.status_present), data, std::move(buffer));
}

void Connection::send(const iscsi::ScsiResponse& pdu, ByteView data) {
  out_.push_copy(number(pdu, true), data);
}

std::uint32_t Connection::new_transfer_tag() {
  if (++transfer_tag_ == iscsi::kReservedTag) transfer_tag_ = 0;
  return transfer_tag_;
}

// --- NOP-Out, Logout ---

io::Task<Connection::Next> Connection::on_nop_out() {
  const auto pdu = iscsi::NopOut::decode(reader_.bhs());
  if (!pdu) {
    const Next next = co_await reject(pdu.error().reason, pdu.error().field);
    co_return next;
  }
  if (pdu->target_transfer_tag == ping_tag_) ping_tag_ = iscsi::kReservedTag;
  const bool taken = take_number(pdu->immediate, pdu->cmd_sn);
  if (!taken || pdu->initiator_task_tag == iscsi::kReservedTag) {
    if (taken) done_with_number(pdu->immediate);
    const Next next = co_await skip_data();
    co_return next;
  }
  done_with_number(pdu->immediate);
  // The answer has the same data, as far as the initiator takes them (RFC 7143 §11.19.4).
  const std::size_t size =
      std::min<std::size_t>(reader_.data_left(), session_->parameters().peer_max_recv_data_segment_length);
  std::optional<io::Buffer> data;
  if (size != 0) {
    data = session_->buffers().allocate(size);
    if (!data) {
      const Next next = co_await reject(iscsi::RejectReason::kLongOperationReject, "no memory for the ping's data");
      co_return next;
    }
    auto got = co_await reader_.read(data->bytes());
    if (!got) co_return lost(got.error());
  }
  auto intact = co_await reader_.skip();
  if (!intact) co_return lost(intact.error());
  if (!*intact) {
    const Next next = co_await reject(iscsi::RejectReason::kDataDigestError, "wrong data digest");
    co_return next;
  }
  iscsi::NopIn answer;
  answer.lun = pdu->lun;
  answer.initiator_task_tag = pdu->initiator_task_tag;
  answer.data_segment_length = static_cast<std::uint32_t>(size);
  const transport::SendQueue::Pdu numbered = number(answer, true);
  if (data) {
    const ByteView bytes = data->bytes();
    out_.push(numbered, bytes, std::move(*data));
  } else {
    out_.push(numbered);
  }
  co_return Next::kGoOn;
}

io::Task<Connection::Next> Connection::on_logout() {
  const auto pdu = iscsi::LogoutRequest::decode(reader_.bhs());
  if (!pdu) {
    const Next next = co_await reject(pdu.error().reason, pdu.error().field);
    co_return next;
  }
  const Next skipped = co_await skip_data();
  if (skipped == Next::kStop || !take_number(pdu->immediate, pdu->cmd_sn)) co_return skipped;
  done_with_number(pdu->immediate);
  iscsi::LogoutResponse answer;
  answer.initiator_task_tag = pdu->initiator_task_tag;
  if (pdu->reason == iscsi::LogoutReason::kRemoveForRecovery) {
    answer.response = iscsi::LogoutResult::kRecoveryNotSupported;
  } else if (pdu->reason == iscsi::LogoutReason::kCloseConnection && pdu->cid != cid_) {
    answer.response = iscsi::LogoutResult::kCidNotFound;
  }
  const bool ends = answer.response == iscsi::LogoutResult::kSuccess;
  if (ends) {
    co_await session_->abort_tasks(nullptr);
    co_await session_->end_copies(executor_.now() + limits::kAbortGrace);
  }
  out_.push(number(answer, true));
  if (!ends) co_return Next::kGoOn;
  co_await out_.drain();
  close("the initiator logged out");
  co_return Next::kStop;
}

io::Task<Connection::Next> Connection::on_task_management() {
  const auto pdu = iscsi::TaskManagementRequest::decode(reader_.bhs());
  if (!pdu) return reject(pdu.error().reason, pdu.error().field);
  if (session_->discovery()) {
    return reject(iscsi::RejectReason::kProtocolError, "a task management function in a discovery session");
  }
  if (pdu->immediate && functions_.inside() >= limits::kImmediateCommands) {
    return reject(iscsi::RejectReason::kImmediateCommandReject, "too many task management functions in progress");
  }
  if (!take_number(pdu->immediate, pdu->cmd_sn)) return skip_data();
  done_with_number(pdu->immediate);
  io::spawn(manage_tasks(*pdu));
  return skip_data();
}

// --- The watch ---

void Connection::watch() {
  if (closing_) return;
  timer_.arm_after(kWatchInterval);
  const io::TimePoint now = executor_.now();
  if (logout_requested_ && now >= logout_deadline_) return close("the initiator did not log out when asked to");
  if (session_->discovery()) {
    if (now - heard_ > limits::kDiscoveryIdle) close("the discovery session was idle");
    return;
  }
  end_starved_tasks();
  if (ping_tag_ != iscsi::kReservedTag) {
    if (heard_ < pinged_ && now - pinged_ > limits::kNopTimeout) close("the initiator did not answer a NOP-In");
  } else if (now - heard_ > limits::kNopInterval) {
    ping();
  }
}

void Connection::ping() {
  iscsi::NopIn pdu;
  pdu.target_transfer_tag = new_transfer_tag();
  ping_tag_ = pdu.target_transfer_tag;
  pinged_ = executor_.now();
  out_.push(number(pdu, false));
}

/// Solicited data that do not come hold buffers: their tasks end.
void Connection::end_starved_tasks() {
  const io::TimePoint limit = executor_.now() - limits::kDataOutTimeout;
  std::vector<IscsiTask*> starved;
  session_->tasks().for_each([&](IscsiTask& task) {
    if (task.starved_since(limit)) starved.push_back(&task);
  });
  for (IscsiTask* const task : starved) {
    task->fail(aborted_command(scsi::sense_codes::kInitiatorResponseTimeout));
    session_->settle(*task);
  }
}

}  // namespace peerlane::target
