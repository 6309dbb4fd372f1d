#include "initiator/connection.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"

namespace peerlane::initiator {
namespace {

using iscsi::Opcode;

// How often time-outs are looked at: a quarter of the shortest one, within reason.
io::Duration tick_of(const ConnectionOptions& options) {
  using namespace std::chrono_literals;
  const io::Duration shortest = std::min({options.nop_interval, options.nop_timeout, options.function_timeout});
  return std::clamp<io::Duration>(shortest / 4, 10ms, 1s);
}

}  // namespace

Connection::Connection(ConnectionHost& host, io::Executor& executor, io::Stream& stream, transport::PduReader& reader,
                       const LoginOutcome& login, const ConnectionOptions& options)
    : host_(host),
      executor_(executor),
      stream_(stream),
      reader_(reader),
      parameters_(login.parameters),
      options_(options),
      out_(executor, stream),
      cmd_sn_(login.cmd_sn),
      max_cmd_sn_(login.max_cmd_sn),
      exp_stat_sn_(login.exp_stat_sn),
      slots_(std::make_unique<CommandSlot[]>(options.depth)),
      timer_(executor, [this] { watch(); }),
      tick_(tick_of(options)),
      heard_(executor.now()) {
  assert(options.depth <= limits::kMostInitiatorQueueDepth);
  for (unsigned i = 0; i < options.depth; ++i) {
    slots_[i].connection = this;
    slots_[i].tag = i;
    free_.push_back(slots_[i]);
  }
  reader_.set_digests(parameters_.header_digest, parameters_.data_digest);
  out_.set_digests(parameters_.header_digest, parameters_.data_digest);
  timer_.arm_after(tick_);
}

Connection::~Connection() = default;

io::Task<void> Connection::serve() {
  Next next = Next::kGoOn;
  while (next == Next::kGoOn) {
    auto read = co_await reader_.next();
    if (!read) lost(read.error());
    if (closing_) break;
    next = co_await dispatch();
    if (closing_) break;
    if (next == Next::kGoOn && !waiting_.empty()) send_waiting();
  }
  close(ECONNABORTED, "the connection has ended");
  timer_.disarm();
  co_await out_.drain();
  end_all();
  function_changed_.wake_all();
  text_changed_.wake_all();
  closed_.set();
  co_await background_.drained();
}

void Connection::close(int code, std::string why) {
  if (closing_) return;
  closing_ = true;
  why_ = {code, std::move(why)};
  out_.abandon();
  stream_.shutdown();
}

Connection::Next Connection::lost(const Error& error) {
  close(error.code, error.code == ENODATA ? std::string("the target has closed the connection") : error.text());
  return Next::kStop;
}

Connection::Next Connection::wrong(std::string_view what) {
  close(EPROTO, fmt::format("the target does not keep to the protocol: {}", what));
  return Next::kStop;
}

io::Task<Connection::Next> Connection::dispatch() {
  heard_ = executor_.now();
  if (reader_.data_left() > parameters_.our_max_recv_data_segment_length) {
    return io::ready(wrong("a data segment is longer than we take"));
  }
  switch (reader_.header().opcode()) {
    case Opcode::kDataIn:
      return on_data_in();
    case Opcode::kScsiResponse:
      return on_response();
    case Opcode::kR2t:
      return io::ready(on_r2t());
    case Opcode::kNopIn:
      return on_nop_in();
    case Opcode::kTaskManagementResponse:
      return on_function_response();
    case Opcode::kTextResponse:
      return on_text_response();
    case Opcode::kLogoutResponse:
      return on_logout_response();
    case Opcode::kAsyncMessage:
      return on_async_message();
    case Opcode::kReject:
      return on_reject();
    default:
      return io::ready(
          wrong(fmt::format("a PDU that no target sends now: {}", iscsi::name(reader_.header().opcode()))));
  }
}

/// Reads what is behind a data segment that was read whole.
io::Task<Connection::Next> Connection::finish_pdu() {
  auto finished = co_await reader_.finish();
  if (!finished) co_return lost(finished.error());
  if (!*finished) co_return wrong("a data digest is wrong");
  co_return Next::kGoOn;
}

/// The command that the target means by `tag`; null if it has none of that tag.
CommandSlot* Connection::find(std::uint32_t tag) {
  const std::uint32_t place = tag & 0xffff;
  if (place >= options_.depth) return nullptr;
  CommandSlot& slot = slots_[place];
  return slot.tag == tag && slot.active() ? &slot : nullptr;
}

/// Whether a response has the number that is next (RFC 7143 §4.2.2.2). Nothing else comes on one connection.
bool Connection::take_stat_sn(iscsi::StatSn stat_sn) {
  if (stat_sn != exp_stat_sn_) return false;
  ++exp_stat_sn_;
  return true;
}

/// RFC 7143 §4.2.2.1: a window that would end before it begins is ignored, as is one that is older than what we have.
void Connection::take_window(iscsi::CmdSn exp_cmd_sn, iscsi::CmdSn max_cmd_sn) {
  if (max_cmd_sn + 1 < exp_cmd_sn) return;
  if (max_cmd_sn > max_cmd_sn_) max_cmd_sn_ = max_cmd_sn;
}

// --- Commands ---

io::Task<Connection::Next> Connection::on_data_in() {
  const auto pdu = iscsi::DataIn::decode(reader_.bhs());
  if (!pdu) return io::ready(wrong(pdu.error().field));
  CommandSlot* const slot = find(pdu->initiator_task_tag);
  if (slot == nullptr) return io::ready(wrong("data for a command that is not under way"));
  const ByteSpan into = slot->request->data_in;
  // DataPDUInOrder and DataSequenceInOrder are Yes: each byte comes once, in order.
  if (pdu->data_sn != slot->next_data_sn) return io::ready(wrong("Data-In out of sequence"));
  if (pdu->buffer_offset != slot->received) {
    return io::ready(wrong("Data-In with a Buffer Offset that is not the next one"));
  }
  if (pdu->data_segment_length > into.size() - slot->received) {
    return io::ready(wrong("more data than were asked for"));
  }
  take_window(pdu->exp_cmd_sn, pdu->max_cmd_sn);
  ++slot->next_data_sn;
  const auto intact = reader_.take(into.subspan(slot->received, pdu->data_segment_length));
  if (!intact) return receive_data(*slot, *pdu);
  if (!*intact) return io::ready(wrong("a data digest is wrong"));
  return io::ready(data_is_in(*slot, *pdu));
}

/// Data that have not arrived whole: received in place.
io::Task<Connection::Next> Connection::receive_data(CommandSlot& slot, iscsi::DataIn pdu) {
  const ByteSpan part = slot.request->data_in.subspan(slot.received, pdu.data_segment_length);
  auto read = co_await reader_.read(part);
  if (!read) co_return lost(read.error());
  const Next next = co_await finish_pdu();
  if (next == Next::kStop) co_return next;
  co_return data_is_in(slot, pdu);
}

Connection::Next Connection::data_is_in(CommandSlot& slot, const iscsi::DataIn& pdu) {
  slot.received += pdu.data_segment_length;
  if (!pdu.status_present) return Next::kGoOn;
  if (!take_stat_sn(pdu.stat_sn)) return wrong("a status out of sequence");
  slot.outcome.result.status = static_cast<scsi::Status>(pdu.status);
  if (const char* const what = status_of(slot, pdu.overflow, pdu.underflow, pdu.residual_count)) return wrong(what);
  end_of(slot, Ending::kAnswered);
  return Next::kGoOn;
}

/// What the target says of how much was transferred, held against what was. Null, or what is wrong.
const char* Connection::status_of(CommandSlot& slot, bool overflow, bool underflow, std::uint32_t residual) {
  const Request& request = *slot.request;
  ScsiResult& result = slot.outcome.result;
  const std::size_t size = std::max(request.data_in.size(), request.data_out.size());
  if (underflow && residual > size) return "a residual count above the length of the transfer";
  const std::size_t meant = size - (underflow ? residual : 0);
  // What was never asked for was never written: a target that claims so would lose data.
  const bool all_given = slot.given >= meant && slot.asked_count == 0;
  if (!request.data_out.empty() && result.good() && !all_given) return "a write ends well without all of its data";
  result.transferred = std::min<std::size_t>(meant, request.data_in.empty() ? slot.given : slot.received);
  result.residual = overflow || underflow ? residual : 0;
  result.overflow = overflow;
  return nullptr;
}

io::Task<Connection::Next> Connection::on_response() {
  const auto pdu = iscsi::ScsiResponse::decode(reader_.bhs());
  if (!pdu) return io::ready(wrong(pdu.error().field));
  CommandSlot* const slot = find(pdu->initiator_task_tag);
  if (slot == nullptr) return io::ready(wrong("a response to a command that is not under way"));
  if (!take_stat_sn(pdu->stat_sn)) return io::ready(wrong("a response out of sequence"));
  take_window(pdu->exp_cmd_sn, pdu->max_cmd_sn);
  if (reader_.data_left() != 0) return receive_response(*slot, *pdu);
  small_size_ = 0;
  return io::ready(response_is_in(*slot, *pdu));
}

/// With sense data, or data that the target thinks we want.
io::Task<Connection::Next> Connection::receive_response(CommandSlot& slot, iscsi::ScsiResponse pdu) {
  const Next next = co_await read_small();
  if (next == Next::kStop) co_return next;
  co_return response_is_in(slot, pdu);
}

Connection::Next Connection::response_is_in(CommandSlot& slot, const iscsi::ScsiResponse& pdu) {
  ScsiResult& result = slot.outcome.result;
  result.status = static_cast<scsi::Status>(pdu.status);
  constexpr std::size_t kLengthBytes = 2;  // SenseLength (RFC 7143 §11.4.7.1)
  if (result.status == scsi::Status::kCheckCondition && small_size_ > kLengthBytes) {
    const ByteView segment = ByteView(small_).first(small_size_);
    const std::size_t length = std::min<std::size_t>(get_be16(segment, 0), small_size_ - kLengthBytes);
    result.sense = scsi::decode_sense(segment.subspan(kLengthBytes, length));
  }
  const bool delivered = pdu.response == iscsi::ServiceResponse::kCompletedAtTarget;
  if (delivered) {
    if (const char* const what = status_of(slot, pdu.overflow, pdu.underflow, pdu.residual_count)) return wrong(what);
  }
  end_of(slot, delivered ? Ending::kAnswered : Ending::kRefused);
  return Next::kGoOn;
}

Connection::Next Connection::on_r2t() {
  const auto pdu = iscsi::R2t::decode(reader_.bhs());
  if (!pdu) return wrong(pdu.error().field);
  if (reader_.data_left() != 0) return wrong("an R2T with a data segment");
  CommandSlot* const slot = find(pdu->initiator_task_tag);
  if (slot == nullptr) return wrong("an R2T for a command that is not under way");
  const std::size_t size = slot->request->data_out.size();
  if (pdu->r2t_sn != slot->next_data_sn) return wrong("an R2T out of sequence");
  if (pdu->buffer_offset != slot->given) return wrong("an R2T with a Buffer Offset that is not the next one");
  if (pdu->desired_data_transfer_length > size - slot->given) return wrong("an R2T for more data than there are");
  if (pdu->desired_data_transfer_length > parameters_.max_burst_length) {
    return wrong("an R2T for more than MaxBurstLength");
  }
  if (slot->asked_count >= std::min<std::size_t>(parameters_.max_outstanding_r2t, slot->asked.size())) {
    return wrong("more R2Ts at a time than MaxOutstandingR2T");
  }
  take_window(pdu->exp_cmd_sn, pdu->max_cmd_sn);
  ++slot->next_data_sn;
  slot->given += pdu->desired_data_transfer_length;
  slot->asked[(slot->first_asked + slot->asked_count++) % slot->asked.size()] =
      Asked{pdu->lun, pdu->target_transfer_tag, 0, pdu->buffer_offset, pdu->desired_data_transfer_length};
  if (!slot->listed) data_.push_back(*slot);
  send_data();
  return Next::kGoOn;
}

// --- The end of commands ---

/// The outcome of a command that the target knows of is there.
void Connection::end_of(CommandSlot& slot, Ending ending) {
  slot.outcome.ending = ending;
  slot.state = CommandSlot::State::kOver;
  slot.asked_count = 0;
  if (slot.listed) data_.remove(slot);
  --sent_;
  if (slot.lent == 0) settle(slot);
}

/// Nothing of the command is under way any more: its buffers are its caller's again.
void Connection::settle(CommandSlot& slot) {
  slot.done.set();
}

/// The connection is dead and silent: all that is under way ends.
void Connection::end_all() {
  while (!waiting_.empty()) {
    CommandSlot& slot = waiting_.pop_front();
    slot.outcome.ending = Ending::kNeverSent;
    settle(slot);
  }
  for (unsigned i = 0; i < options_.depth; ++i) {
    if (slots_[i].active()) end_of(slots_[i], Ending::kLost);
  }
}

}  // namespace peerlane::initiator
