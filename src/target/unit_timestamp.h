// The timestamp of a logical unit (SPC-4 §5.2): the host's clock, until SET TIMESTAMP says otherwise.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "scsi/timestamp.h"

namespace peerlane::target {

/// Thread-safe. Times are milliseconds since 1970-01-01 00:00 UTC.
class UnitTimestamp {
 public:
  /// The timestamp when the host's clock shows `now`.
  scsi::Timestamp at(std::uint64_t now) const {
    const bool set = set_.load(std::memory_order_acquire);
    return {(now + ahead_.load(std::memory_order_acquire)) & kMask,
            set ? scsi::TimestampOrigin::kSet : scsi::TimestampOrigin::kOutside};
  }
  /// Makes it `milliseconds` when the host's clock shows `now`.
  void set(std::uint64_t milliseconds, std::uint64_t now) {
    ahead_.store(milliseconds - now, std::memory_order_release);
    set_.store(true, std::memory_order_release);
  }

  /// What the host's clock shows.
  static std::uint64_t host_clock() {
    const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since_1970).count());
  }

 private:
  static constexpr std::uint64_t kMask = (std::uint64_t{1} << 48) - 1;

  std::atomic<std::uint64_t> ahead_{0};  // of the host's clock, modulo 2^64
  std::atomic<bool> set_{false};
};

}  // namespace peerlane::target
