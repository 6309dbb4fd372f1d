#include "target/repeated_warning.h"

#include <gtest/gtest.h>

namespace peerlane::target {
namespace {

using namespace std::chrono_literals;

const io::TimePoint kStart{1h};

TEST(RepeatedWarning, TheSameIsSaidOnceAMinute) {
  RepeatedWarning warning;
  EXPECT_EQ(warning.admit("a", kStart), 0u);
  for (int i = 0; i < 7; ++i) EXPECT_FALSE(warning.admit("a", kStart + 59s));
  EXPECT_EQ(warning.admit("a", kStart + 60s), 7u);
  EXPECT_FALSE(warning.admit("a", kStart + 61s));
  EXPECT_EQ(warning.admit("a", kStart + 120s), 1u);
}

TEST(RepeatedWarning, SomethingElseIsSaidSooner) {
  RepeatedWarning warning;
  EXPECT_EQ(warning.admit("a", kStart), 0u);
  EXPECT_FALSE(warning.admit("b", kStart + 999ms));
  EXPECT_EQ(warning.admit("b", kStart + 1s), 1u);
  EXPECT_EQ(warning.admit("a", kStart + 2s), 0u);
}

TEST(RepeatedWarning, TextsInTurnAreNotSaidEachTime) {
  RepeatedWarning warning;
  unsigned said = 0;
  for (int i = 0; i < 1000; ++i) {
    if (warning.admit(i % 2 == 0 ? "a" : "b", kStart + i * 1ms)) ++said;
  }
  EXPECT_EQ(said, 1u);
}

}  // namespace
}  // namespace peerlane::target
