#include "copy/progress.h"

#include <algorithm>
#include <cmath>

namespace peerlane::copy {
namespace {

/// What lies so far back counts for 1/e of what is now.
constexpr double kMemorySeconds = 5;
constexpr double kMostSeconds = 365.0 * 24 * 3600 * 100;

}  // namespace

void Speedometer::report(std::uint64_t done, io::TimePoint now) {
  if (!last_ || done < done_) {
    last_ = now;
    done_ = done;
    rate_ = 0;
    return;
  }
  const double seconds = std::chrono::duration<double>(now - *last_).count();
  if (seconds <= 0) return;
  const double rate = static_cast<double>(done - done_) / seconds;
  const double kept = rate_ > 0 ? std::exp(-seconds / kMemorySeconds) : 0;
  rate_ = kept * rate_ + (1 - kept) * rate;
  last_ = now;
  done_ = done;
}

std::optional<std::chrono::seconds> Speedometer::left(std::uint64_t total) const {
  if (rate_ <= 0) return std::nullopt;
  const auto bytes = static_cast<double>(total - std::min(total, done_));
  return std::chrono::seconds(static_cast<std::int64_t>(std::min(kMostSeconds, std::ceil(bytes / rate_))));
}

}  // namespace peerlane::copy
