#include "base/histogram.h"

#include <cmath>

namespace peerlane {

void Histogram::add(const Histogram& other) {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  least_ = std::min(least_, other.least_);
  most_ = std::max(most_, other.most_);
}

std::uint64_t Histogram::percentile(double percent) const {
  if (count_ == 0) return 0;
  const double rank = std::ceil(static_cast<double>(count_) * std::clamp(percent, 0.0, 100.0) / 100);
  const std::uint64_t wanted = std::clamp<std::uint64_t>(static_cast<std::uint64_t>(rank), 1, count_);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    // The last bucket holds whatever is too large to be told apart.
    if (seen >= wanted) return i + 1 == kBuckets ? most_ : std::clamp(last_value_of(i), least_, most_);
  }
  return most_;
}

}  // namespace peerlane
