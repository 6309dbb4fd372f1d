// Which filters a disk is to have (block/filters.h), as data.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <vector>

#include "base/limits.h"

namespace peerlane::block {

/// See block/cache_device.h.
enum class CacheMode : unsigned char { kOff, kWriteThrough, kWriteBack };

struct CacheOptions {
  CacheMode mode = CacheMode::kOff;
  std::uint64_t read_ahead = limits::kReadAheadBytes;  // at most; 0: none
};

/// See block/throttle_device.h.
struct ThrottleOptions {
  std::uint64_t iops = 0;             // I/Os a second; 0: no limit
  std::uint64_t iops_burst = 0;       // I/Os at once after a rest; 0: what a tenth of a second has
  std::uint64_t bandwidth = 0;        // bytes a second; 0: no limit
  std::uint64_t bandwidth_burst = 0;  // bytes at once after a rest; 0: what a tenth of a second has
  bool any() const { return iops != 0 || bandwidth != 0; }
};

/// See block/delay_device.h.
struct DelayOptions {
  std::chrono::microseconds read{0};
  std::chrono::microseconds write{0};  // unmap and write_zeroes, too
  std::chrono::microseconds flush{0};
  std::chrono::microseconds jitter{0};  // up to so much more, by chance
  std::uint64_t seed = 1;               // of the chance
  bool any() const { return (read + write + flush + jitter).count() != 0; }
};

/// See block/fault_device.h.
enum class FaultOperation : unsigned char { kAny, kRead, kWrite, kFlush, kUnmap, kWriteZeroes };

struct FaultRule {
  FaultOperation operation = FaultOperation::kAny;
  std::uint64_t offset = 0;           // bytes; flushes have no place and match any
  std::uint64_t length = UINT64_MAX;  // bytes
  int error = EIO;                    // an errno value
  std::uint64_t after = 0;            // so many operations that match pass first
  std::uint64_t count = 0;            // so many fail, then no more; 0: no end
  double probability = 1;             // of each that matches
  std::uint64_t seed = 1;             // of the chance
};

/// All of them; what is not set is not there.
struct FilterOptions {
  CacheOptions cache;
  ThrottleOptions throttle;
  DelayOptions delay;
  std::vector<FaultRule> faults;
};

}  // namespace peerlane::block
