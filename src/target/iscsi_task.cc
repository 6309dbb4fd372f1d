#include "target/iscsi_task.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "target/connection.h"
#include "target/session.h"

namespace peerlane::target {

// --- Its life ---

void IscsiTask::begin(Connection& connection, const iscsi::ScsiCommand& pdu, ByteView extended_cdb) {
  connection_ = &connection;
  short_cdb_ = pdu.cdb;
  cdb_ = short_cdb_;
  if (!extended_cdb.empty()) {
    long_cdb_.assign(short_cdb_.begin(), short_cdb_.end());
    long_cdb_.insert(long_cdb_.end(), extended_cdb.begin(), extended_cdb.end());
    cdb_ = long_cdb_;
  }
  initiator_task_tag_ = pdu.initiator_task_tag;
  lun_field_ = pdu.lun.value;
  attribute_ = static_cast<TaskAttribute>(pdu.attribute);
  immediate_ = pdu.immediate;
  data_out_length_ = pdu.write ? pdu.expected_data_transfer_length : 0;
  data_in_length_ = pdu.read ? pdu.expected_data_transfer_length : 0;

  running_ = false;
  pinned_ = false;
  aborted_ = false;
  orphaned_on_ = nullptr;
  failure_.reset();
  completion_.reset();
  transfer_length_.reset();

  unsolicited_open_ = !pdu.final || pdu.data_segment_length != 0;
  asked_at_ = session_.executor().now();
  received_ = 0;
  taken_ = 0;
  next_data_sn_ = 0;
  r2t_offset_ = 0;
  next_r2t_sn_ = 0;
  r2t_count_ = 0;
  early_end_ = 0;
  want_ = {};

  offered_ = 0;
  sent_ = 0;
  data_in_offset_ = 0;
  data_sn_ = 0;
}

void IscsiTask::complete(const Completion& completion) {
  running_ = false;
  completion_ = completion;
}

void IscsiTask::abort() {
  assert(!aborted_);
  aborted_ = true;
  place().leave();
}

void IscsiTask::fail(const Completion& completion) {
  failure_ = completion;
  unsolicited_open_ = false;
  r2t_count_ = 0;
}

io::Executor& IscsiTask::executor() const {
  return session_.executor();
}

// --- Data-Out ---

const char* IscsiTask::accept(const iscsi::DataOut& pdu) {
  const std::uint64_t end = std::uint64_t{pdu.buffer_offset} + pdu.data_segment_length;
  if (pdu.target_transfer_tag == iscsi::kReservedTag) {
    if (!unsolicited_open_) return "unsolicited data although none were announced";
    const std::uint32_t limit = std::min(session_.parameters().first_burst_length, data_out_length_);
    if (end > limit) return "unsolicited data exceed FirstBurstLength or the expected length";
  } else {
    if (r2t_count_ == 0 || r2ts_[first_r2t_].transfer_tag != pdu.target_transfer_tag) {
      return "the Target Transfer Tag is not that of the R2T that is due";
    }
    const std::uint32_t due = r2ts_[first_r2t_].end;
    if (end > due) return "data exceed what the R2T asked for";
    if (pdu.final != (end == due)) return "the F bit does not stand at the end of what the R2T asked for";
  }
  if (pdu.data_sn != next_data_sn_) return "wrong DataSN";
  if (pdu.buffer_offset != received_) return "wrong Buffer Offset";
  ++next_data_sn_;
  return nullptr;
}

bool IscsiTask::make_room_for_all(std::size_t size) {
  if (size != data_out_length_ || size > limits::kMaxBufferBytes) return false;
  auto buffer = session_.buffers().try_allocate(session_.share(), size);
  if (buffer) early_ = std::move(*buffer);
  return buffer.has_value();
}

ByteSpan IscsiTask::next_place(std::size_t most) {
  if (aborted() || completion_.has_value()) return {};
  const std::uint32_t want_end = want_offset_ + static_cast<std::uint32_t>(want_.size());
  if (received_ >= want_offset_ && received_ < want_end) {
    return want_.subspan(received_ - want_offset_, std::min<std::size_t>(most, want_end - received_));
  }
  if (!early_) {
    auto buffer = session_.buffers().set_aside(std::min(session_.parameters().first_burst_length, data_out_length_));
    if (!buffer) {
      fail({scsi::Status::kTaskSetFull, std::nullopt});
      return {};
    }
    early_ = std::move(*buffer);
  }
  assert(received_ + most <= early_.size());  // unsolicited data end there; see accept()
  early_end_ = received_ + static_cast<std::uint32_t>(most);
  return early_.bytes().subspan(received_, most);
}

void IscsiTask::end_data(bool final) {
  pinned_ = false;
  if (final) {
    next_data_sn_ = 0;
    if (unsolicited_open_) {
      unsolicited_open_ = false;
      r2t_offset_ = received_;
    } else if (r2t_count_ != 0) {
      first_r2t_ = (first_r2t_ + 1) % limits::kMaxOutstandingR2T;
      --r2t_count_;
      asked_at_ = session_.executor().now();
    }
    ask_for_data();
  }
}

/// Moves what came early to where it is wanted; how much that was.
std::size_t IscsiTask::take_early(ByteSpan into) {
  if (early_end_ <= taken_) return 0;
  const std::size_t size = std::min<std::size_t>(early_end_ - taken_, into.size());
  std::memcpy(into.data(), early_.bytes().data() + taken_, size);
  if (taken_ + size == early_end_) early_.release();
  return size;
}

/// Sends R2Ts for what the device server waits for, as many at a time as were negotiated.
void IscsiTask::ask_for_data() {
  if (want_.empty() || unsolicited_open_ || aborted()) return;
  const iscsi::Parameters& parameters = session_.parameters();
  const std::uint32_t most = std::min<std::uint32_t>(parameters.max_outstanding_r2t, limits::kMaxOutstandingR2T);
  const std::uint32_t want_end = want_offset_ + static_cast<std::uint32_t>(want_.size());
  while (r2t_count_ < most && r2t_offset_ < want_end) {
    if (r2t_count_ == 0) asked_at_ = session_.executor().now();
    iscsi::R2t pdu;
    pdu.lun = iscsi::LunField{lun_field_};
    pdu.initiator_task_tag = initiator_task_tag_;
    pdu.target_transfer_tag = connection_->new_transfer_tag();
    pdu.r2t_sn = next_r2t_sn_++;
    pdu.buffer_offset = r2t_offset_;
    pdu.desired_data_transfer_length = std::min(parameters.max_burst_length, want_end - r2t_offset_);
    r2t_offset_ += pdu.desired_data_transfer_length;
    r2ts_[(first_r2t_ + r2t_count_) % limits::kMaxOutstandingR2T] = {pdu.target_transfer_tag, r2t_offset_};
    ++r2t_count_;
    connection_->send(pdu);
  }
}

io::Task<std::optional<io::Buffer>> IscsiTask::receive(std::uint64_t offset, std::size_t length) {
  assert(offset == taken_ && offset + length <= data_out_length_);
  if (taken_ != 0 || pinned_ || early_end_ != length || early_.size() != length || aborted()) {
    return receive_later(offset, length);
  }
  taken_ = early_end_;
  return io::ready(std::optional(std::move(early_)));
}

io::Task<std::optional<io::Buffer>> IscsiTask::receive_later(std::uint64_t offset, std::size_t length) {
  auto buffer = co_await allocate(length);
  if (!buffer) co_return std::nullopt;
  // Early data of a PDU that is still being brought in have their place already, but are not all there.
  while (pinned_ && early_end_ > taken_) co_await arrived_;
  if (aborted()) co_return std::nullopt;
  const std::size_t early = take_early(buffer->bytes());
  if (early < length) {
    want_ = buffer->bytes();
    want_offset_ = static_cast<std::uint32_t>(offset);
    ask_for_data();
    // While the connection writes into the buffer it must stay, even if the task was aborted.
    while (pinned_ || (received_ < offset + length && !aborted())) co_await arrived_;
    want_ = {};
  }
  if (aborted()) co_return std::nullopt;
  taken_ += static_cast<std::uint32_t>(length);
  co_return std::move(buffer);
}

io::Task<void> IscsiTask::abort_tasks_of(std::vector<NexusName> nexuses, const LogicalUnit& unit) {
  return connection_->abort_tasks_of(std::move(nexuses), unit);
}

io::Task<std::optional<io::Buffer>> IscsiTask::allocate(std::size_t size) {
  if (aborted()) return io::ready(std::optional<io::Buffer>());
  auto buffer = session_.buffers().try_allocate(session_.share(), size);
  return buffer ? io::ready(std::move(buffer)) : allocate_later(size);
}

io::Task<std::optional<io::Buffer>> IscsiTask::allocate_later(std::size_t size) {
  // What is held back for the status must not stay while this waits: many tasks doing so would wait for each other.
  flush_held(false, nullptr);
  io::Buffer buffer = co_await session_.buffers().allocate(session_.share(), size);
  if (aborted()) co_return std::nullopt;
  co_return std::move(buffer);
}

// --- Data-In and the response ---

void IscsiTask::send(io::Buffer buffer, std::size_t length) {
  offered_ += length;
  const std::size_t room = data_in_length_ - sent_;
  const std::size_t part = std::min(length, room);
  if (part == 0 || aborted()) return;
  flush_held(false, nullptr);
  held_ = std::move(buffer);
  held_length_ = part;
  sent_ += static_cast<std::uint32_t>(part);
}

/// Queues the piece that was held back, as Data-In PDUs. `last`: it ends the transfer; then the status may go with it.
void IscsiTask::flush_held(bool last, const Residual* with_status) {
  if (!held_) return;
  const iscsi::Parameters& parameters = session_.parameters();
  std::size_t at = 0;
  while (at < held_length_) {
    const std::size_t burst_left = parameters.max_burst_length - data_in_offset_ % parameters.max_burst_length;
    const std::size_t most = std::min<std::size_t>(parameters.peer_max_recv_data_segment_length, burst_left);
    const std::size_t size = std::min(most, held_length_ - at);
    const bool end = at + size == held_length_;
    iscsi::DataIn pdu;
    pdu.final = size == burst_left || (end && last);
    pdu.initiator_task_tag = initiator_task_tag_;
    pdu.data_sn = data_sn_++;
    pdu.buffer_offset = data_in_offset_;
    pdu.data_segment_length = static_cast<std::uint32_t>(size);
    if (end && with_status != nullptr) {
      pdu.status_present = true;
      pdu.overflow = with_status->overflow;
      pdu.underflow = with_status->underflow;
      pdu.residual_count = with_status->count;
    }
    data_in_offset_ += static_cast<std::uint32_t>(size);
    const ByteView data = held_.bytes().subspan(at, size);
    connection_->send(pdu, data, end ? std::move(held_) : io::Buffer());
    at += size;
  }
}

/// RFC 7143 §11.4.5: the difference between what the command would transfer and what the initiator expects.
IscsiTask::Residual IscsiTask::residual() const {
  const std::uint64_t expected = std::max(data_in_length_, data_out_length_);
  const std::uint64_t done = std::max<std::uint64_t>(offered_, taken_);
  const std::uint64_t wanted = transfer_length_.value_or(done);
  Residual residual;
  residual.overflow = wanted > expected;
  residual.underflow = wanted < expected;
  const std::uint64_t difference = wanted > expected ? wanted - expected : expected - wanted;
  residual.count = static_cast<std::uint32_t>(std::min<std::uint64_t>(difference, 0xffffffff));
  return residual;
}

scsi::Status IscsiTask::status() const {
  if (aborted_) return scsi::Status::kTaskAborted;
  return failure_ ? failure_->status : completion_->status;
}

void IscsiTask::respond() {
  early_.release();
  if (aborted_) {
    held_.release();
    return;
  }
  const Completion completion = failure_ ? *failure_ : *completion_;
  const Residual left = residual();
  const bool collapse = held_ && completion.status == scsi::Status::kGood && !completion.sense;
  flush_held(true, collapse ? &left : nullptr);
  if (!collapse) send_response(completion, left);
}

void IscsiTask::send_response(const Completion& completion, const Residual& left) {
  iscsi::ScsiResponse pdu;
  pdu.status = static_cast<std::uint8_t>(completion.status);
  pdu.initiator_task_tag = initiator_task_tag_;
  pdu.exp_data_sn = data_sn_ + next_r2t_sn_;
  pdu.overflow = left.overflow;
  pdu.underflow = left.underflow;
  pdu.residual_count = left.count;
  std::array<std::uint8_t, 2 + scsi::kMaxSenseBytes> data;  // SenseLength, sense data (RFC 7143 §11.4.7)
  std::size_t size = 0;
  if (completion.sense) {
    const bool descriptor = session_.device().descriptor_sense(lun_field_);
    size = scsi::encode_sense(*completion.sense, descriptor, ByteSpan(data).subspan(2));
    put_be16(data, 0, static_cast<std::uint16_t>(size));
    size += 2;
  }
  pdu.data_segment_length = static_cast<std::uint32_t>(size);
  connection_->send(pdu, ByteView(data).first(size));
}

// --- TaskTable ---

IscsiTask* TaskTable::find(std::uint32_t initiator_task_tag) const {
  IscsiTask* task = buckets_[bucket_of(initiator_task_tag)];
  while (task != nullptr && task->initiator_task_tag_ != initiator_task_tag) task = task->next_in_table_;
  return task;
}

void TaskTable::insert(IscsiTask& task) {
  IscsiTask*& head = buckets_[bucket_of(task.initiator_task_tag_)];
  task.next_in_table_ = head;
  head = &task;
}

void TaskTable::erase(IscsiTask& task) {
  IscsiTask** at = &buckets_[bucket_of(task.initiator_task_tag_)];
  while (*at != nullptr && *at != &task) at = &(*at)->next_in_table_;
  if (*at == nullptr) return;
  *at = task.next_in_table_;
  task.next_in_table_ = nullptr;
}

}  // namespace peerlane::target
