// A distribution of times, or of other whole numbers, in bounded memory: counts in buckets whose width grows with the
// value, as in HDR histograms. Whatever is recorded is told again with an error of less than 1/128 of it; count, mean,
// least and most are exact.
//
// Not thread-safe: each thread has its own, and they are added up at the end. Recording allocates nothing.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace peerlane {

class Histogram {
 public:
  /// The largest value that is told apart from larger ones: in nanoseconds, 18 minutes.
  static constexpr unsigned kValueBits = 40;
  static constexpr std::uint64_t kMost = (std::uint64_t{1} << kValueBits) - 1;

  void record(std::uint64_t value) {
    ++counts_[bucket_of(std::min(value, kMost))];
    ++count_;
    sum_ += value;
    least_ = std::min(least_, value);
    most_ = std::max(most_, value);
  }

  void add(const Histogram& other);

  std::uint64_t count() const { return count_; }
  /// 0 where nothing was recorded, as all that follow.
  double mean() const { return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_); }
  std::uint64_t least() const { return count_ == 0 ? 0 : least_; }
  std::uint64_t most() const { return most_; }

  /// The value that `percent` (0 to 100) of what was recorded do not exceed, to the precision of the buckets: never
  /// less than the true one, and never above most().
  std::uint64_t percentile(double percent) const;

 private:
  static constexpr unsigned kStepBits = 7;  // each power of two has so many steps, as a power of two
  static constexpr std::size_t kSteps = std::size_t{1} << kStepBits;
  static constexpr std::size_t kBuckets = (kValueBits - kStepBits + 1) * kSteps;

  /// Values below 2 * kSteps have buckets of their own; above, a bucket holds 2^shift values.
  static constexpr std::size_t bucket_of(std::uint64_t value) {
    const auto width = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = width > kStepBits + 1 ? width - kStepBits - 1 : 0;
    return shift * kSteps + (value >> shift);
  }
  static constexpr std::uint64_t last_value_of(std::size_t bucket) {
    if (bucket < 2 * kSteps) return bucket;
    const unsigned shift = static_cast<unsigned>(bucket / kSteps) - 1;
    return ((bucket - shift * kSteps + 1) << shift) - 1;
  }

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t least_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t most_ = 0;
};

}  // namespace peerlane
