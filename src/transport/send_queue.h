// What a connection has to send: PDUs in order, gathered so that one system call sends all that is ready at the end of
// a round of the event loop. Headers are kept here, data segments stay in the buffers that the backend read into.
//
// Belongs to a connection, on its reactor. Once warmed up, queueing and sending allocate nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <sys/uio.h>

#include "base/bytes.h"
#include "base/limits.h"
#include "io/buffer_pool.h"
#include "io/event.h"
#include "io/executor.h"
#include "io/stream.h"
#include "iscsi/pdu.h"

namespace peerlane::transport {

/// Lends the queue bytes that are its caller's, not a pool's. Told once for each PDU with such bytes, when the queue
/// needs them no more: they were sent, or will not be. It may queue further PDUs then, but not destroy the queue.
class Lender {
 public:
  virtual void give_back() = 0;

 protected:
  Lender() = default;
  ~Lender() = default;  // nobody owns a Lender through this type
};

class SendQueue final : private io::Deferred {
 public:
  SendQueue(io::Executor& executor, io::Stream& stream);
  ~SendQueue() override;

  /// From now on PDUs carry these digests (RFC 7143 §11.2.3, §13.1).
  void set_digests(bool header, bool data) {
    header_digest_ = header;
    data_digest_ = data;
  }

  /// A PDU to be filled in: the 48 bytes of its BHS, DataSegmentLength and TotalAHSLength included, and what
  /// TotalAHSLength says, at most kMostAhsBytes, borrowed until it is queued.
  struct Pdu {
    std::array<std::uint8_t, iscsi::kBhsBytes> bhs;
    ByteView ahs = {};
  };
  static constexpr std::size_t kMostAhsBytes = 20;  // an Extended CDB AHS for a CDB of 32 bytes

  template <typename P>
  static Pdu encoded(const P& pdu) {
    Pdu bytes;
    pdu.encode(bytes.bhs);
    return bytes;
  }

  /// Queues a PDU without a data segment.
  void push(const Pdu& pdu);
  /// Queues a PDU whose data segment is `data`; the bytes lie in `buffer`, or in one that is queued with a later PDU.
  /// An empty buffer may be given then.
  void push(const Pdu& pdu, ByteView data, io::Buffer buffer);
  /// Queues a PDU whose data segment is `data`, at least one byte, borrowed from `lender` until it gets it back; within
  /// this call where sending has failed.
  void push_borrowed(const Pdu& pdu, ByteView data, Lender& lender);
  /// Queues a PDU with a copy of `data`, at most kSmallDataBytes.
  void push_copy(const Pdu& pdu, ByteView data);
  static constexpr std::size_t kSmallDataBytes = 256;

  /// Waits while more is queued than a peer that reads what it is sent can cause (limits::kSendQueuePdus).
  io::Task<void> wait_for_room() { return has_room() ? io::ready() : become_room(); }

  /// Waits until everything that is queued now has been sent, or sending has failed.
  io::Task<void> drain();

  /// Ends sending: what is queued is dropped, later PDUs too. The stream must be shut down as well; then drain() ends.
  void abandon();

  bool failed() const { return failed_; }

 private:
  struct Entry {
    Entry* next = nullptr;
    std::array<std::uint8_t, iscsi::kBhsBytes + kMostAhsBytes + iscsi::kDigestBytes> head;
    std::array<std::uint8_t, 3 + iscsi::kDigestBytes> tail;  // padding, data digest
    std::uint8_t head_size = 0;
    std::uint8_t tail_size = 0;
    ByteView data;
    io::Buffer buffer;
    Lender* lender = nullptr;
    std::array<std::uint8_t, kSmallDataBytes> small;
  };
  struct List {
    Entry* first = nullptr;
    Entry* last = nullptr;
    void push_back(Entry* entry);
    Entry* pop_front();
  };

  bool has_room() const { return failed_ || queued_count_ <= limits::kSendQueuePdus; }
  io::Task<void> become_room();
  void run_deferred() override;
  io::Task<void> send_all();
  void gather();
  void recycle(List& list);
  Entry* new_entry();
  void fill(Entry& entry, const Pdu& pdu, ByteView data);
  void queue(Entry& entry);

  io::Executor& executor_;
  io::Stream& stream_;
  bool header_digest_ = false;
  bool data_digest_ = false;
  bool sending_ = false;
  bool failed_ = false;
  std::size_t queued_count_ = 0;
  List queued_;
  List in_flight_;
  List free_;
  std::vector<std::unique_ptr<Entry[]>> blocks_;
  std::vector<iovec> vectors_;
  io::Event sent_;
};

}  // namespace peerlane::transport
