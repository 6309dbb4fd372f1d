// How far a copy has come, how fast it is, and how long it will take.
#pragma once

#include <cstdint>
#include <optional>

#include "io/executor.h"

namespace peerlane::copy {

enum class Phase : unsigned char { kCopying, kFlushing, kVerifying, kDone };

struct Progress {
  Phase phase = Phase::kCopying;
  std::uint64_t done = 0;              // bytes of this phase, those included that an earlier, interrupted copy did
  std::optional<std::uint64_t> total;  // of this phase; nothing: it only shows at the end of a stream
  std::uint64_t moved = 0;             // bytes of this phase that were moved and not just skipped
};

/// The rate over the last seconds, from what is reported now and then. Pure arithmetic, no clock.
class Speedometer {
 public:
  /// `done` bytes at `now`; never less than before, but for the start of a new phase.
  void report(std::uint64_t done, io::TimePoint now);

  /// Bytes a second; 0 before there are two reports.
  double rate() const { return rate_; }

  /// Until all of `total` is done at this rate; nothing if nothing moves.
  std::optional<std::chrono::seconds> left(std::uint64_t total) const;

 private:
  std::optional<io::TimePoint> last_;
  std::uint64_t done_ = 0;
  double rate_ = 0;
};

}  // namespace peerlane::copy
