#include "copy/progress.h"

#include <gtest/gtest.h>

namespace peerlane::copy {
namespace {

using namespace std::chrono_literals;

TEST(Speedometer, KnowsNothingAtFirst) {
  Speedometer speed;
  EXPECT_EQ(0, speed.rate());
  speed.report(1000, io::TimePoint(1s));
  EXPECT_EQ(0, speed.rate());
  EXPECT_FALSE(speed.left(2000));
}

TEST(Speedometer, MeasuresASteadyRate) {
  Speedometer speed;
  for (unsigned i = 0; i < 50; ++i) speed.report(i * 100, io::TimePoint(i * 100ms));
  EXPECT_NEAR(1000, speed.rate(), 1);
  EXPECT_EQ(6s, speed.left(4900 + 5500));
  EXPECT_EQ(0s, speed.left(100));
}

TEST(Speedometer, FollowsAChangeAndForgetsTheOldRate) {
  Speedometer speed;
  std::uint64_t done = 0;
  for (unsigned i = 0; i < 100; ++i) speed.report(done += 1000, io::TimePoint(i * 100ms));
  for (unsigned i = 100; i < 400; ++i) speed.report(done += 10, io::TimePoint(i * 100ms));
  EXPECT_NEAR(100, speed.rate(), 30);
}

TEST(Speedometer, StartsAnewWhenAPhaseDoes) {
  Speedometer speed;
  speed.report(1000, io::TimePoint(1s));
  speed.report(2000, io::TimePoint(2s));
  speed.report(10, io::TimePoint(3s));
  EXPECT_EQ(0, speed.rate());
  speed.report(20, io::TimePoint(4s));
  EXPECT_NEAR(10, speed.rate(), 0.1);
}

TEST(Speedometer, DoesNotOverflowWhenNothingMoves) {
  Speedometer speed;
  speed.report(0, io::TimePoint(1s));
  speed.report(1, io::TimePoint(100000s));
  EXPECT_GT(speed.left(UINT64_MAX)->count(), 0);
}

}  // namespace
}  // namespace peerlane::copy
