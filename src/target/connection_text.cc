// Text requests in full feature phase (RFC 7143 §6.4): SendTargets, and the keys that may be declared anew.

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "target/connection.h"
#include "target/target_node.h"

namespace peerlane::target {
namespace {

// Text that we send at a time, whatever the initiator could take.
constexpr std::uint32_t kTextSegmentBytes = 64u << 10;

}  // namespace

io::Task<Connection::Next> Connection::on_text() {
  const auto pdu = iscsi::TextRequest::decode(reader_.bhs());
  if (!pdu) {
    const Next next = co_await reject(pdu.error().reason, pdu.error().field);
    co_return next;
  }
  if (!take_number(pdu->immediate, pdu->cmd_sn)) {
    const Next next = co_await skip_data();
    co_return next;
  }
  done_with_number(pdu->immediate);
  if (pdu->target_transfer_tag == iscsi::kReservedTag) {
    text_.clear();
    text_answer_.clear();
  } else if (pdu->target_transfer_tag != text_tag_) {
    const Next next = co_await reject(iscsi::RejectReason::kProtocolError, "it continues no text of ours");
    co_return next;
  }
  const std::size_t size = reader_.data_left();
  std::vector<std::uint8_t> segment(size);
  auto got = co_await reader_.read(segment);
  if (!got) co_return lost(got.error());
  auto intact = co_await reader_.finish();
  if (!intact) co_return lost(intact.error());
  if (!*intact) {
    const Next next = co_await reject(iscsi::RejectReason::kDataDigestError, "wrong data digest");
    co_return next;
  }
  auto whole = text_.add(segment, pdu->continues);
  if (!whole) {
    text_.clear();
    const Next next = co_await reject(iscsi::RejectReason::kProtocolError, "the text is too long");
    co_return next;
  }
  if (*whole && !text_.empty()) {
    auto answered = answer_keys();
    text_.clear();
    if (!answered) {
      log::warning("session {}: {}", session_->identity().text(), answered.error().text());
      const Next next = co_await reject(iscsi::RejectReason::kProtocolError, "its text cannot be answered");
      co_return next;
    }
  }
  co_return send_text(*pdu);
}

/// Answers the text that was gathered, to text_answer_.
Result<void> Connection::answer_keys() {
  auto pairs = iscsi::parse_text(text_.text());
  if (!pairs) return std::unexpected(pairs.error());
  const std::string own = session_->discovery() ? std::string() : session_->identity().target->name();
  const std::vector<VisibleTarget> visible = host_.visible_targets(*session_, stream_);
  auto answered = answer_text(*pairs, negotiator_, own, visible, text_answer_);
  session_->parameters().peer_max_recv_data_segment_length = negotiator_.parameters().peer_max_recv_data_segment_length;
  return answered;
}

/// Sends the next segment of the answer. While the initiator has more to say, or we have, the exchange goes on under a
/// tag.
Connection::Next Connection::send_text(const iscsi::TextRequest& request) {
  const std::uint32_t most = std::min(session_->parameters().peer_max_recv_data_segment_length, kTextSegmentBytes);
  const ByteView segment = request.continues ? ByteView() : text_answer_.next_segment(most);
  iscsi::TextResponse pdu;
  pdu.continues = !request.continues && !text_answer_.empty();
  pdu.final = request.final && !pdu.continues;
  pdu.lun = request.lun;
  pdu.initiator_task_tag = request.initiator_task_tag;
  text_tag_ = pdu.final ? iscsi::kReservedTag : new_transfer_tag();
  pdu.target_transfer_tag = text_tag_;
  pdu.data_segment_length = static_cast<std::uint32_t>(segment.size());
  if (segment.empty()) {
    out_.push(number(pdu, true));
    return Next::kGoOn;
  }
  auto buffer = session_->buffers().allocate(segment.size());
  if (!buffer) {
    close("no memory for a text response");
    return Next::kStop;
  }
  std::ranges::copy(segment, buffer->bytes().begin());
  const ByteView bytes = buffer->bytes();
  out_.push(number(pdu, true), bytes, std::move(*buffer));
  return Next::kGoOn;
}

}  // namespace peerlane::target
