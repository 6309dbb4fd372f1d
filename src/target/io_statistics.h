// What was read and written, for the general statistics and performance log page (SPC-4 §7.3.6). Each I_T_L nexus
// counts for itself: its commands run on one reactor, so that counting is a load and a store, without a locked
// instruction and without a cache line that reactors fight for. The logical unit adds up when somebody asks.
#pragma once

#include <atomic>
#include <cstdint>

#include "scsi/blocks.h"

namespace peerlane::target {

/// A sum, or a difference.
struct IoTotals {
  std::uint64_t reads = 0;  // READ commands
  std::uint64_t writes = 0;
  std::uint64_t blocks_read = 0;
  std::uint64_t blocks_written = 0;

  IoTotals& operator+=(const IoTotals& other) {
    reads += other.reads;
    writes += other.writes;
    blocks_read += other.blocks_read;
    blocks_written += other.blocks_written;
    return *this;
  }
  friend IoTotals operator-(IoTotals from, const IoTotals& what) {
    from.reads -= what.reads;
    from.writes -= what.writes;
    from.blocks_read -= what.blocks_read;
    from.blocks_written -= what.blocks_written;
    return from;
  }
  friend bool operator==(const IoTotals&, const IoTotals&) = default;
};

/// Counted on one reactor at a time, read from any.
class IoCounters {
 public:
  void count_read(scsi::BlockCount blocks) {
    add(reads_, 1);
    add(blocks_read_, blocks.value);
  }
  void count_write(scsi::BlockCount blocks) {
    add(writes_, 1);
    add(blocks_written_, blocks.value);
  }
  IoTotals totals() const {
    return {.reads = reads_.load(std::memory_order_relaxed),
            .writes = writes_.load(std::memory_order_relaxed),
            .blocks_read = blocks_read_.load(std::memory_order_relaxed),
            .blocks_written = blocks_written_.load(std::memory_order_relaxed)};
  }

 private:
  using Counter = std::atomic<std::uint64_t>;
  static void add(Counter& counter, std::uint64_t value) {
    counter.store(counter.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
  }

  Counter reads_{0};
  Counter writes_{0};
  Counter blocks_read_{0};
  Counter blocks_written_{0};
};

}  // namespace peerlane::target
