// A limit of so many units a second with bursts: a bucket that holds `burst` tokens and gets `rate` of them a second.
// What needs more than there are waits for them; who comes later waits longer, so that the order is kept.
//
// Pure arithmetic on a point in time: the moment at which the bucket was, or will be, empty. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>

#include "io/executor.h"

namespace peerlane::block {

class TokenBucket {
 public:
  /// `rate` and `burst` are units: I/Os, or bytes. The burst is at least one unit.
  TokenBucket(std::uint64_t rate, std::uint64_t burst)
      : unit_nanoseconds_(1e9 / static_cast<double>(std::max<std::uint64_t>(rate, 1))),
        burst_(std::max<std::uint64_t>(burst, 1)) {}

  /// How long `units` would have to wait at `now`. More of them than a burst wait for a full bucket, and leave a debt.
  io::Duration wait(std::uint64_t units, io::TimePoint now) const {
    return std::max(io::Duration::zero(), empty_at(now) + time_for(std::min(units, burst_)) - now);
  }

  /// Takes them, now or after that wait.
  void take(std::uint64_t units, io::TimePoint now) { empty_at_ = empty_at(now) + time_for(units); }

 private:
  io::Duration time_for(std::uint64_t units) const {
    return std::chrono::duration_cast<io::Duration>(
        std::chrono::duration<double, std::nano>(unit_nanoseconds_ * static_cast<double>(units)));
  }
  /// A bucket does not get fuller than full, however long nobody comes.
  io::TimePoint empty_at(io::TimePoint now) const { return std::max(empty_at_, now - time_for(burst_)); }

  const double unit_nanoseconds_;
  const std::uint64_t burst_;
  io::TimePoint empty_at_{};
};

}  // namespace peerlane::block
