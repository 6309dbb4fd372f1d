#include "base/histogram.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane {
namespace {

/// The percentile of all values, as it is defined.
std::uint64_t true_percentile(std::vector<std::uint64_t> values, double percent) {
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(std::ceil(static_cast<double>(values.size()) * percent / 100));
  return values[std::max<std::size_t>(rank, 1) - 1];
}

TEST(Histogram, TellsNothingOfNothing) {
  const Histogram none;
  EXPECT_EQ(none.count(), 0u);
  EXPECT_EQ(none.mean(), 0);
  EXPECT_EQ(none.least(), 0u);
  EXPECT_EQ(none.most(), 0u);
  EXPECT_EQ(none.percentile(99), 0u);
}

TEST(Histogram, TellsOneValueExactlyWhateverItIs) {
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{255}, std::uint64_t{256},
                                    std::uint64_t{257}, std::uint64_t{1'234'567'891}, Histogram::kMost}) {
    Histogram one;
    one.record(value);
    EXPECT_EQ(one.percentile(0), value);
    EXPECT_EQ(one.percentile(50), value);
    EXPECT_EQ(one.percentile(100), value);
    EXPECT_EQ(one.mean(), static_cast<double>(value));
  }
}

TEST(Histogram, KeepsSmallValuesApart) {
  Histogram small;
  for (std::uint64_t value = 0; value < 256; ++value) small.record(value);
  for (std::uint64_t value = 0; value < 256; ++value) {
    EXPECT_EQ(small.percentile(100 * static_cast<double>(value + 1) / 256), value);
  }
}

TEST(Histogram, ErrsUpwardsByLessThanItsStep) {
  // Both sides of every power of two, where a bucket too many or too few would show.
  for (unsigned bit = 1; bit < Histogram::kValueBits; ++bit) {
    for (const std::uint64_t value : {(std::uint64_t{1} << bit) - 1, std::uint64_t{1} << bit,
                                      (std::uint64_t{1} << bit) + (std::uint64_t{1} << bit) / 3}) {
      Histogram two;
      two.record(value);
      two.record(Histogram::kMost);  // so that the most does not hide the error
      EXPECT_GE(two.percentile(50), value);
      EXPECT_LE(static_cast<double>(two.percentile(50)), static_cast<double>(value) * (1 + 1.0 / 128)) << value;
    }
  }
}

TEST(Histogram, AgreesWithSortedValues) {
  std::mt19937_64 random(7);  // NOLINT(cert-msc51-cpp): the same values each time
  std::lognormal_distribution<double> latency(11, 1.5);
  std::vector<std::uint64_t> values;
  Histogram histogram;
  for (int i = 0; i < 100'000; ++i) {
    values.push_back(static_cast<std::uint64_t>(latency(random)));
    histogram.record(values.back());
  }
  for (const double percent : {0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const auto exact = static_cast<double>(true_percentile(values, percent));
    const auto told = static_cast<double>(histogram.percentile(percent));
    EXPECT_GE(told, exact) << percent;
    EXPECT_LE(told, exact * (1 + 1.0 / 128)) << percent;
  }
  EXPECT_EQ(histogram.least(), std::ranges::min(values));
  EXPECT_EQ(histogram.most(), std::ranges::max(values));
}

TEST(Histogram, PutsWhatIsTooLargeAtTheEnd) {
  Histogram histogram;
  histogram.record(5);
  histogram.record(Histogram::kMost * 4);
  EXPECT_EQ(histogram.percentile(50), 5u);
  EXPECT_EQ(histogram.percentile(100), Histogram::kMost * 4);
}

TEST(Histogram, AddsUp) {
  Histogram one;
  Histogram other;
  Histogram both;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    (i % 3 == 0 ? one : other).record(i * i);
    both.record(i * i);
  }
  one.add(other);
  one.add(Histogram());
  EXPECT_EQ(one.count(), both.count());
  EXPECT_EQ(one.mean(), both.mean());
  EXPECT_EQ(one.least(), both.least());
  EXPECT_EQ(one.most(), both.most());
  for (const double percent : {10.0, 50.0, 99.0}) EXPECT_EQ(one.percentile(percent), both.percentile(percent));
}

}  // namespace
}  // namespace peerlane
