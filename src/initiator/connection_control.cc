// What a connection exchanges besides commands and their data: NOPs, task management, text, logout, asynchronous
// messages, rejects; and the watch over time-outs.
#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "initiator/connection.h"

namespace peerlane::initiator {
namespace {

// Task tags of requests that are no commands: places that no table of commands has.
constexpr std::uint32_t kPingTag = 0xfff0;
constexpr std::uint32_t kLogoutTag = 0xfff1;
constexpr std::uint32_t kTextTag = 0xfff2;
constexpr std::uint32_t kFunctionPlace = 0xfff3;

bool is_canceled(const Request& request) {
  return request.canceled != nullptr && request.canceled->load(std::memory_order_relaxed);
}

}  // namespace

/// Reads a data segment that is no command's data; of one that is longer than small_ the beginning.
io::Task<Connection::Next> Connection::read_small() {
  small_size_ = std::min(reader_.data_left(), small_.size());
  if (small_size_ != 0) {
    auto read = co_await reader_.read(ByteSpan(small_).first(small_size_));
    if (!read) co_return lost(read.error());
  }
  auto rest = co_await reader_.skip();
  if (!rest) co_return lost(rest.error());
  if (!*rest) co_return wrong("a data digest is wrong");
  co_return Next::kGoOn;
}

// --- NOP (RFC 7143 §11.18, §11.19) ---

io::Task<Connection::Next> Connection::on_nop_in() {
  const auto pdu = iscsi::NopIn::decode(reader_.bhs());
  if (!pdu) co_return wrong(pdu.error().field);
  const Next next = co_await read_small();
  if (next == Next::kStop) co_return next;
  take_window(pdu->exp_cmd_sn, pdu->max_cmd_sn);
  if (pdu->initiator_task_tag != iscsi::kReservedTag) {
    if (!pinging_ || pdu->initiator_task_tag != kPingTag) co_return wrong("a NOP-In that answers nothing");
    if (!take_stat_sn(pdu->stat_sn)) co_return wrong("a NOP-In out of sequence");
    pinging_ = false;
  }
  if (pdu->target_transfer_tag == iscsi::kReservedTag) co_return Next::kGoOn;
  iscsi::NopOut answer;
  answer.immediate = true;
  answer.lun = pdu->lun;
  answer.target_transfer_tag = pdu->target_transfer_tag;
  out_.push(number(answer));
  co_await out_.wait_for_room();
  co_return Next::kGoOn;
}

void Connection::ping() {
  pinging_ = true;
  pinged_ = executor_.now();
  iscsi::NopOut pdu;
  pdu.immediate = true;
  pdu.initiator_task_tag = kPingTag;
  out_.push(number(pdu));
}

// --- Task management (RFC 7143 §11.5, §11.6) ---

io::Task<Result<iscsi::TaskFunctionResponse>> Connection::manage(iscsi::TaskFunction function, iscsi::LunField lun,
                                                                 std::uint32_t referenced_tag,
                                                                 iscsi::CmdSn referenced_sn) {
  while (!closing_ && function_tag_ != iscsi::kReservedTag) co_await function_changed_;
  if (closing_) co_return fail(why_.code, why_.message);
  iscsi::TaskManagementRequest pdu;
  pdu.immediate = true;
  pdu.function = function;
  pdu.lun = lun;
  pdu.initiator_task_tag = function_tag_ = std::uint32_t{++function_count_} << 16 | kFunctionPlace;
  pdu.referenced_task_tag = referenced_tag;
  pdu.ref_cmd_sn = referenced_sn;
  function_answer_.reset();
  function_deadline_ = executor_.now() + options_.function_timeout;
  out_.push(number(pdu));
  while (!closing_ && !function_answer_) co_await function_changed_;
  function_tag_ = iscsi::kReservedTag;
  function_changed_.wake_all();
  if (!function_answer_) co_return fail(why_.code, why_.message);
  co_return *std::exchange(function_answer_, std::nullopt);
}

io::Task<Connection::Next> Connection::on_function_response() {
  const auto pdu = iscsi::TaskManagementResponse::decode(reader_.bhs());
  if (!pdu) co_return wrong(pdu.error().field);
  const Next next = co_await read_small();
  if (next == Next::kStop) co_return next;
  if (function_tag_ == iscsi::kReservedTag || pdu->initiator_task_tag != function_tag_ || function_answer_) {
    co_return wrong("a response to a task management function that is not under way");
  }
  if (!take_stat_sn(pdu->stat_sn)) co_return wrong("a task management response out of sequence");
  take_window(pdu->exp_cmd_sn, pdu->max_cmd_sn);
  function_answer_ = pdu->response;
  function_changed_.wake_all();
  co_return Next::kGoOn;
}

/// A command has had no answer in time: takes it back.
io::Task<void> Connection::abort(CommandSlot& slot) {
  const io::Gate::Pass pass(background_);
  const std::uint32_t tag = slot.tag;
  const iscsi::LunField lun = slot.request->lun;
  const iscsi::CmdSn cmd_sn = slot.cmd_sn;
  const auto answer = co_await manage(iscsi::TaskFunction::kAbortTask, lun, tag, cmd_sn);
  if (!answer || find(tag) == nullptr) co_return;  // it has ended meanwhile
  const bool gone = *answer == iscsi::TaskFunctionResponse::kFunctionComplete ||
                    *answer == iscsi::TaskFunctionResponse::kTaskDoesNotExist;
  if (gone) {
    end_of(slot, Ending::kTimedOut);
  } else {
    // Its task may still write: only the end of the session is sure to end it.
    close(ETIMEDOUT, "a command has no answer, and the target does not abort it");
  }
}

// --- Text in full feature phase (RFC 7143 §11.10, §11.11) ---

io::Task<Result<std::string>> Connection::exchange_text(std::string_view key, std::string_view value) {
  assert(text_tag_ == iscsi::kReservedTag);
  if (closing_) co_return fail(why_.code, why_.message);
  iscsi::TextWriter text;
  text.add(key, value);
  const ByteView data = text.next_segment(text.size());
  assert(data.size() <= transport::SendQueue::kSmallDataBytes);
  text_tag_ = kTextTag;
  text_whole_ = false;
  iscsi::TextRequest pdu;
  pdu.initiator_task_tag = text_tag_;
  pdu.data_segment_length = static_cast<std::uint32_t>(data.size());
  out_.push_copy(number(pdu), data);
  while (!closing_ && !text_whole_) co_await text_changed_;
  text_tag_ = iscsi::kReservedTag;
  if (!text_whole_) co_return fail(why_.code, why_.message);
  std::string whole(as_text(text_.text()));
  text_.clear();
  co_return whole;
}

io::Task<Connection::Next> Connection::on_text_response() {
  const auto pdu = iscsi::TextResponse::decode(reader_.bhs());
  if (!pdu) co_return wrong(pdu.error().field);
  if (text_tag_ == iscsi::kReservedTag || pdu->initiator_task_tag != text_tag_ || text_whole_) {
    co_return wrong("a Text Response to nothing");
  }
  if (!take_stat_sn(pdu->stat_sn)) co_return wrong("a Text Response out of sequence");
  take_window(pdu->exp_cmd_sn, pdu->max_cmd_sn);
  while (reader_.data_left() != 0) {
    const std::size_t part = std::min(reader_.data_left(), small_.size());
    auto read = co_await reader_.read(ByteSpan(small_).first(part));
    if (!read) co_return lost(read.error());
    const auto added = text_.add(ByteView(small_).first(part), true);
    if (!added) co_return wrong("a text that is too long");
  }
  const Next next = co_await finish_pdu();
  if (next == Next::kStop) co_return next;
  if (pdu->final) {
    text_whole_ = true;
    text_changed_.wake_all();
    co_return Next::kGoOn;
  }
  if (pdu->target_transfer_tag == iscsi::kReservedTag) co_return wrong("a text that goes on without a transfer tag");
  if (pdu->data_segment_length == 0) co_return wrong("a text that goes on without going on");
  iscsi::TextRequest more;
  more.lun = pdu->lun;
  more.initiator_task_tag = text_tag_;
  more.target_transfer_tag = pdu->target_transfer_tag;
  out_.push(number(more));
  co_return Next::kGoOn;
}

// --- Logout (RFC 7143 §11.14, §11.15) ---

io::Task<void> Connection::logout() {
  if (closing_) co_return;
  const io::Gate::Pass pass(background_);
  if (!logging_out_) {
    logging_out_ = true;
    draining_ = true;
    drain_deadline_ = executor_.now() + limits::kLogoutTimeout;
    iscsi::LogoutRequest pdu;
    pdu.immediate = true;
    pdu.reason = iscsi::LogoutReason::kCloseSession;
    pdu.initiator_task_tag = kLogoutTag;
    pdu.cid = options_.cid;
    out_.push(number(pdu));
  }
  co_await closed_;
}

io::Task<void> Connection::run_logout() {
  co_await logout();
}

io::Task<Connection::Next> Connection::on_logout_response() {
  const auto pdu = iscsi::LogoutResponse::decode(reader_.bhs());
  if (!pdu) co_return wrong(pdu.error().field);
  if (!logging_out_ || pdu->initiator_task_tag != kLogoutTag) co_return wrong("a Logout Response to nothing");
  time2wait_ = pdu->time2wait;
  close(ESHUTDOWN, "logged out");
  co_return Next::kStop;
}

// --- Asynchronous messages (RFC 7143 §11.9) and rejects (§11.17) ---

io::Task<Connection::Next> Connection::on_async_message() {
  const auto pdu = iscsi::AsyncMessage::decode(reader_.bhs());
  if (!pdu) co_return wrong(pdu.error().field);
  if (!take_stat_sn(pdu->stat_sn)) co_return wrong("an Asynchronous Message out of sequence");
  take_window(pdu->exp_cmd_sn, pdu->max_cmd_sn);
  const Next next = co_await read_small();
  if (next == Next::kStop) co_return next;
  switch (pdu->event) {
    case iscsi::AsyncEvent::kScsiEvent:
      if (small_size_ > 2) {
        const ByteView segment = ByteView(small_).first(small_size_);
        const std::size_t length = std::min<std::size_t>(get_be16(segment, 0), small_size_ - 2);
        if (const auto sense = scsi::decode_sense(segment.subspan(2, length))) host_.scsi_event(pdu->lun, *sense);
      }
      break;
    case iscsi::AsyncEvent::kLogoutRequested:
      start_draining(pdu->parameter3);
      break;
    case iscsi::AsyncEvent::kConnectionDropped:
      if (pdu->parameter1 != options_.cid) break;
      [[fallthrough]];
    case iscsi::AsyncEvent::kAllConnectionsDropped:
      time2wait_ = pdu->parameter2;
      close(ECONNRESET, "the target drops the connection");
      co_return Next::kStop;
    case iscsi::AsyncEvent::kTasksTerminated:
      // Only after FastAbort was negotiated, which it is not; what was terminated would never be answered.
      co_return wrong("an Asynchronous Message that was not agreed on");
    default:
      break;  // nothing that has to be acted on
  }
  co_return Next::kGoOn;
}

/// The target asks us to log out: lets what is under way end first, as far as there is time.
void Connection::start_draining(std::uint16_t seconds) {
  if (draining_) return;
  draining_ = true;
  drain_deadline_ = executor_.now() + std::chrono::seconds(seconds);
  if (sent_ == 0) io::spawn(run_logout());
}

io::Task<Connection::Next> Connection::on_reject() {
  const auto pdu = iscsi::Reject::decode(reader_.bhs());
  if (!pdu) co_return wrong(pdu.error().field);
  if (!take_stat_sn(pdu->stat_sn)) co_return wrong("a Reject out of sequence");
  take_window(pdu->exp_cmd_sn, pdu->max_cmd_sn);
  const Next next = co_await read_small();
  if (next == Next::kStop) co_return next;
  if (small_size_ < iscsi::kBhsBytes) co_return wrong("a Reject that does not say of what");
  const iscsi::BasicHeader rejected(iscsi::BhsView(small_.data(), iscsi::kBhsBytes));
  log::warning("the target rejects a {}: {}", iscsi::name(rejected.opcode()), iscsi::name(pdu->reason));
  CommandSlot* const slot = find(rejected.initiator_task_tag());
  if (rejected.opcode() == iscsi::Opcode::kScsiCommand && slot != nullptr) {
    end_of(*slot, Ending::kRefused);
  } else if (rejected.opcode() == iscsi::Opcode::kTaskManagementRequest && !function_answer_ &&
             rejected.initiator_task_tag() == function_tag_) {
    function_answer_ = iscsi::TaskFunctionResponse::kFunctionRejected;
    function_changed_.wake_all();
  } else if (rejected.opcode() != iscsi::Opcode::kNopOut) {
    // Data of a write, or a text: what depends on it would wait for ever.
    close(EPROTO, fmt::format("the target rejects a {}: {}", iscsi::name(rejected.opcode()), iscsi::name(pdu->reason)));
    co_return Next::kStop;
  }
  co_return Next::kGoOn;
}

// --- The watch ---

void Connection::watch() {
  const io::TimePoint now = executor_.now();
  if (pinging_ && heard_ <= pinged_ && now - pinged_ >= options_.nop_timeout) {
    close(ETIMEDOUT, "the target does not answer");
  } else if (function_tag_ != iscsi::kReservedTag && !function_answer_ && now >= function_deadline_) {
    close(ETIMEDOUT, "the target does not answer to task management");
  } else if (logging_out_ && now >= drain_deadline_) {
    close(ETIMEDOUT, "the target does not answer the logout");
  }
  if (closing_) return;
  timer_.arm_after(tick_);
  if (!pinging_ && now - heard_ >= options_.nop_interval) ping();
  watch_commands(now);
  if (draining_ && !logging_out_ && (sent_ == 0 || now >= drain_deadline_)) io::spawn(run_logout());
}

void Connection::watch_commands(io::TimePoint now) {
  for (unsigned i = 0; i < options_.depth; ++i) {
    CommandSlot& slot = slots_[i];
    const bool awaited = slot.state == CommandSlot::State::kSent || slot.state == CommandSlot::State::kWaiting;
    if (!awaited || (now < slot.deadline && !is_canceled(*slot.request))) continue;
    if (slot.state == CommandSlot::State::kSent) {
      slot.state = CommandSlot::State::kAborting;
      io::spawn(abort(slot));
    } else if (slot.state == CommandSlot::State::kWaiting) {
      waiting_.remove(slot);
      slot.state = CommandSlot::State::kOver;
      slot.outcome.ending = Ending::kTimedOut;
      settle(slot);
    }
  }
}

}  // namespace peerlane::initiator
