#include "transport/send_queue.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "base/crc32c.h"
#include "base/limits.h"

namespace peerlane::transport {
namespace {

constexpr std::size_t kBlockEntries = 64;
constexpr std::size_t kVectorsPerEntry = 3;

/// A digest goes out with its least significant byte first (RFC 7143 §13.1).
void put_digest(std::uint8_t* at, std::uint32_t crc) {
  for (unsigned i = 0; i < iscsi::kDigestBytes; ++i) at[i] = static_cast<std::uint8_t>(crc >> (8 * i));
}

iovec vector_of(const std::uint8_t* data, std::size_t size) {
  return {const_cast<std::uint8_t*>(data), size};
}

}  // namespace

SendQueue::SendQueue(io::Executor& executor, io::Stream& stream) : executor_(executor), stream_(stream) {
  vectors_.reserve(limits::kSendVectors);
}

SendQueue::~SendQueue() {
  assert(!sending_);
  recycle(queued_);
}

void SendQueue::List::push_back(Entry* entry) {
  entry->next = nullptr;
  (last != nullptr ? last->next : first) = entry;
  last = entry;
}

SendQueue::Entry* SendQueue::List::pop_front() {
  Entry* const entry = first;
  first = entry->next;
  if (first == nullptr) last = nullptr;
  return entry;
}

SendQueue::Entry* SendQueue::new_entry() {
  if (free_.first == nullptr) {
    blocks_.push_back(std::make_unique<Entry[]>(kBlockEntries));
    for (std::size_t i = 0; i < kBlockEntries; ++i) free_.push_back(&blocks_.back()[i]);
  }
  return free_.pop_front();
}

void SendQueue::recycle(List& list) {
  while (list.first != nullptr) {
    Entry* const entry = list.pop_front();
    entry->buffer.release();
    Lender* const lender = std::exchange(entry->lender, nullptr);
    free_.push_back(entry);
    --queued_count_;
    if (lender != nullptr) lender->give_back();
  }
}

void SendQueue::push(const Pdu& pdu) {
  push(pdu, {}, {});
}

void SendQueue::push(const Pdu& pdu, ByteView data, io::Buffer buffer) {
  if (failed_) return;
  Entry& entry = *new_entry();
  fill(entry, pdu, data);
  entry.buffer = std::move(buffer);
  queue(entry);
}

void SendQueue::push_borrowed(const Pdu& pdu, ByteView data, Lender& lender) {
  if (failed_) {
    lender.give_back();
    return;
  }
  Entry& entry = *new_entry();
  fill(entry, pdu, data);
  entry.lender = &lender;
  queue(entry);
}

void SendQueue::push_copy(const Pdu& pdu, ByteView data) {
  if (failed_) return;
  assert(data.size() <= kSmallDataBytes);
  Entry& entry = *new_entry();
  std::memcpy(entry.small.data(), data.data(), data.size());
  fill(entry, pdu, ByteView(entry.small).first(data.size()));
  queue(entry);
}

void SendQueue::fill(Entry& entry, const Pdu& pdu, ByteView data) {
  std::memcpy(entry.head.data(), pdu.bhs.data(), pdu.bhs.size());
  assert(pdu.ahs.size() <= kMostAhsBytes);
  std::ranges::copy(pdu.ahs, entry.head.begin() + iscsi::kBhsBytes);
  std::size_t size = iscsi::kBhsBytes + pdu.ahs.size();
  if (header_digest_) {
    put_digest(entry.head.data() + size, crc32c(ByteView(entry.head).first(size)));
    size += iscsi::kDigestBytes;
  }
  entry.head_size = static_cast<std::uint8_t>(size);
  const std::size_t padding = iscsi::padded(data.size()) - data.size();
  std::memset(entry.tail.data(), 0, padding);
  entry.tail_size = static_cast<std::uint8_t>(padding);
  if (data_digest_ && !data.empty()) {
    Crc32c crc;
    crc.add(data);
    crc.add(ByteView(entry.tail).first(padding));
    put_digest(entry.tail.data() + padding, crc.value());
    entry.tail_size = static_cast<std::uint8_t>(padding + iscsi::kDigestBytes);
  }
  entry.data = data;
}

void SendQueue::queue(Entry& entry) {
  queued_.push_back(&entry);
  ++queued_count_;
  if (!sending_) executor_.defer(*this);
}

void SendQueue::run_deferred() {
  if (sending_) return;
  if (queued_.first != nullptr) {
    io::spawn(send_all());
  } else {
    sent_.wake_all();
  }
}

/// Moves what fits into one system call from the queue to the air.
void SendQueue::gather() {
  vectors_.clear();
  while (queued_.first != nullptr && vectors_.size() + kVectorsPerEntry <= limits::kSendVectors) {
    Entry* const entry = queued_.pop_front();
    vectors_.push_back(vector_of(entry->head.data(), entry->head_size));
    if (!entry->data.empty()) vectors_.push_back(vector_of(entry->data.data(), entry->data.size()));
    if (entry->tail_size != 0) vectors_.push_back(vector_of(entry->tail.data(), entry->tail_size));
    in_flight_.push_back(entry);
  }
}

io::Task<void> SendQueue::send_all() {
  sending_ = true;
  while (queued_.first != nullptr && !failed_) {
    gather();
    const auto sent = co_await stream_.send(vectors_);
    if (!sent) {
      failed_ = true;
      stream_.shutdown();
    }
    recycle(in_flight_);
    if (failed_) recycle(queued_);
    sent_.wake_all();
  }
  sending_ = false;
  sent_.wake_all();
}

io::Task<void> SendQueue::become_room() {
  while (!has_room()) co_await sent_;
}

io::Task<void> SendQueue::drain() {
  while (sending_ || (queued_.first != nullptr && !failed_)) co_await sent_;
}

void SendQueue::abandon() {
  failed_ = true;
  recycle(queued_);
  // Who waits for what is dropped now looks again, but not from within this call: its caller may end with that.
  executor_.defer(*this);
}

}  // namespace peerlane::transport
