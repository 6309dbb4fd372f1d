// What a connection sends of commands: the commands, and their data, unasked or as the target asks for it.
#include <algorithm>
#include <cassert>

#include "initiator/connection.h"

namespace peerlane::initiator {
namespace {

// PDUs with callers' data that are queued at a time: enough to keep a connection busy, and what bounds the queue.
constexpr unsigned kDataPdus = 256;

}  // namespace

void CommandSlot::give_back() {
  connection->data_came_back();
  --lent;
  if (state == State::kOver && lent == 0) connection->settle(*this);
}

io::Task<Outcome> Connection::execute(const Request& request) {
  Outcome outcome;
  if (closing_) co_return outcome;
  assert(!free_.empty() && (request.data_in.empty() || request.data_out.empty()));
  CommandSlot& slot = free_.pop_front();
  slot.request = &request;
  slot.next_data_sn = 0;
  slot.received = 0;
  slot.given = 0;
  slot.first_asked = 0;
  slot.asked_count = 0;
  slot.outcome = {};
  slot.done.reset();
  slot.deadline = executor_.now() + request.timeout;
  submit(slot);
  co_await slot.done;
  outcome = slot.outcome;
  slot.request = nullptr;
  slot.state = CommandSlot::State::kFree;
  free_.push_back(slot);
  co_return outcome;
}

void Connection::submit(CommandSlot& slot) {
  if (waiting_.empty() && window_open()) {
    send(slot);
  } else {
    slot.state = CommandSlot::State::kWaiting;
    waiting_.push_back(slot);
  }
}

void Connection::send_waiting() {
  while (!waiting_.empty() && window_open() && !closing_) send(waiting_.pop_front());
}

void Connection::send(CommandSlot& slot) {
  const Request& request = *slot.request;
  // The lower half is the place in the table; the upper half tells this command from those before it.
  slot.tag += 0x10000;
  slot.state = CommandSlot::State::kSent;
  ++sent_;

  const auto size = static_cast<std::uint32_t>(std::max(request.data_out.size(), request.data_in.size()));
  const std::uint32_t segment = parameters_.peer_max_recv_data_segment_length;
  const auto burst = std::min(static_cast<std::uint32_t>(request.data_out.size()), parameters_.first_burst_length);
  const std::uint32_t immediate = parameters_.immediate_data ? std::min(burst, segment) : 0;
  // RFC 7143 §11.7: the most that may be sent unasked, or nothing but the immediate data.
  const bool unsolicited = !parameters_.initial_r2t && burst > immediate &&
                           (burst - immediate + segment - 1) / segment <= limits::kUnsolicitedPdus;

  iscsi::ScsiCommand pdu;
  pdu.final = !unsolicited;
  pdu.read = !request.data_in.empty();
  pdu.write = !request.data_out.empty();
  pdu.attribute = request.attribute;
  pdu.lun = request.lun;
  pdu.initiator_task_tag = slot.tag;
  pdu.expected_data_transfer_length = size;
  std::copy_n(request.cdb.begin(), pdu.cdb.size(), pdu.cdb.begin());
  pdu.data_segment_length = immediate;
  slot.cmd_sn = cmd_sn_;
  // RFC 7143 §11.2.2.3: what of a longer CDB has no room in the BHS.
  std::array<std::uint8_t, limits::kAhsBytes> ahs;
  std::size_t ahs_size = 0;
  if (request.cdb[0] == static_cast<std::uint8_t>(scsi::OperationCode::kVariableLength)) {
    ahs_size = iscsi::encode_extended_cdb(ByteView(request.cdb).subspan(pdu.cdb.size()), ahs);
  }
  pdu.total_ahs_words = static_cast<std::uint8_t>(ahs_size / 4);
  auto encoded = number(pdu);
  encoded.ahs = ByteView(ahs).first(ahs_size);
  slot.given = immediate;
  if (immediate == 0) {
    out_.push(encoded);
  } else {
    ++slot.lent;
    ++data_pdus_;
    out_.push_borrowed(encoded, request.data_out.first(immediate), slot);
  }
  if (unsolicited) send_unsolicited(slot, immediate, burst);
}

void Connection::send_unsolicited(CommandSlot& slot, std::uint32_t from, std::uint32_t to) {
  const std::uint32_t segment = parameters_.peer_max_recv_data_segment_length;
  iscsi::DataOut pdu;
  pdu.initiator_task_tag = slot.tag;
  pdu.exp_stat_sn = exp_stat_sn_;
  slot.given = to;
  for (; from < to; from += pdu.data_segment_length, ++pdu.data_sn) {
    pdu.buffer_offset = from;
    pdu.data_segment_length = std::min(to - from, segment);
    pdu.final = from + pdu.data_segment_length == to;
    const auto encoded = transport::SendQueue::encoded(pdu);
    ++slot.lent;
    ++data_pdus_;
    out_.push_borrowed(encoded, slot.request->data_out.subspan(from, pdu.data_segment_length), slot);
  }
}

/// Queues data that the target has asked for, in the order in which it asked, as far as there is room.
void Connection::send_data() {
  const std::uint32_t segment = parameters_.peer_max_recv_data_segment_length;
  while (!data_.empty() && data_pdus_ < kDataPdus && !out_.failed()) {
    CommandSlot& slot = data_.front();
    Asked& asked = slot.asked[slot.first_asked];
    iscsi::DataOut pdu;
    pdu.data_segment_length = std::min(asked.length, segment);
    pdu.final = pdu.data_segment_length == asked.length;
    pdu.lun = asked.lun;
    pdu.initiator_task_tag = slot.tag;
    pdu.target_transfer_tag = asked.transfer_tag;
    pdu.exp_stat_sn = exp_stat_sn_;
    pdu.data_sn = asked.data_sn++;
    pdu.buffer_offset = asked.offset;
    const auto encoded = transport::SendQueue::encoded(pdu);
    const ByteView data = slot.request->data_out.subspan(asked.offset, pdu.data_segment_length);
    asked.offset += pdu.data_segment_length;
    asked.length -= pdu.data_segment_length;
    if (asked.length == 0) {
      slot.first_asked = (slot.first_asked + 1) % static_cast<unsigned>(slot.asked.size());
      data_.pop_front();
      if (--slot.asked_count != 0) data_.push_back(slot);
    }
    ++slot.lent;
    ++data_pdus_;
    out_.push_borrowed(encoded, data, slot);
  }
}

void Connection::data_came_back() {
  --data_pdus_;
  if (!out_.failed()) send_data();
}

}  // namespace peerlane::initiator
