// What the filters of a disk count. The figures grow from the opening of the disk on and never go back, but for those
// that say "now".
#pragma once

#include <cstdint>

namespace peerlane::block {

/// Counts of pages of 4096 bytes, where nothing else is said.
struct CacheStatistics {
  std::uint64_t hits = 0;               // reads of a page that was there
  std::uint64_t misses = 0;             // reads of a page that had to come from the device
  std::uint64_t joined = 0;             // reads of a page that somebody else was just fetching: one read for both
  std::uint64_t evictions = 0;          // pages that made room for others
  std::uint64_t read_ahead = 0;         // pages read before anybody asked
  std::uint64_t read_ahead_used = 0;    // of these, pages that were asked for later
  std::uint64_t read_ahead_wasted = 0;  // of these, pages that went again before anybody asked
  std::uint64_t written_out = 0;        // dirty pages that were brought to the device
  std::uint64_t write_out_errors = 0;   // writes of dirty pages that failed; the pages are kept and tried again
  std::uint64_t dirty_bytes = 0;        // now: bytes that have not reached the device
};

struct ThrottleStatistics {
  std::uint64_t delayed = 0;       // operations that had to wait
  std::uint64_t delayed_usec = 0;  // for how long, all together
  std::uint64_t refused = 0;       // operations that would have had to wait too long
};

struct FaultStatistics {
  std::uint64_t injected = 0;  // errors
};

/// All filters of a disk together; what is not there counts nothing.
struct Statistics {
  CacheStatistics cache;
  ThrottleStatistics throttle;
  FaultStatistics fault;
};

}  // namespace peerlane::block
