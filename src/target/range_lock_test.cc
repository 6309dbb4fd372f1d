#include "target/range_lock.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::target {
namespace {

using Pass = RangeLock::Pass;
constexpr auto kShared = RangeLock::Mode::kShared;
constexpr auto kExclusive = RangeLock::Mode::kExclusive;

TEST(RangeLock, SharedPassesDoNotNoticeEachOther) {
  RangeLock lock;
  Pass first(lock, kShared, 0, 100), second(lock, kShared, 50, 100);
  EXPECT_TRUE(first.granted());
  EXPECT_TRUE(second.granted());
}

TEST(RangeLock, AnExclusivePassWaitsForThoseThatAreInside) {
  RangeLock lock;
  std::optional<Pass> inside(std::in_place, lock, kShared, 0, 100);
  Pass exclusive(lock, kExclusive, 0, 10);
  EXPECT_FALSE(exclusive.granted());
  inside.reset();
  EXPECT_TRUE(exclusive.granted());
}

TEST(RangeLock, SharedPassesWaitForAnExclusiveOneThatOverlaps) {
  RangeLock lock;
  std::optional<Pass> exclusive(std::in_place, lock, kExclusive, 100, 50);
  ASSERT_TRUE(exclusive->granted());
  Pass below(lock, kShared, 0, 100), last_byte(lock, kShared, 149, 10), above(lock, kShared, 150, 10);
  Pass around(lock, kShared, 0, 1000), within(lock, kShared, 120, 1);
  EXPECT_TRUE(below.granted());
  EXPECT_TRUE(above.granted());
  EXPECT_FALSE(last_byte.granted());
  EXPECT_FALSE(around.granted());
  EXPECT_FALSE(within.granted());
  exclusive.reset();
  EXPECT_TRUE(last_byte.granted());
  EXPECT_TRUE(around.granted());
  EXPECT_TRUE(within.granted());
}

TEST(RangeLock, ThoseWhoOverlapGetTheirTurnInOrder) {
  RangeLock lock;
  std::optional<Pass> first(std::in_place, lock, kExclusive, 0, 10);
  std::optional<Pass> second(std::in_place, lock, kExclusive, 5, 10);
  std::optional<Pass> shared(std::in_place, lock, kShared, 12, 10);
  Pass elsewhere(lock, kExclusive, 100, 10);
  EXPECT_TRUE(first->granted());
  EXPECT_TRUE(elsewhere.granted());
  EXPECT_FALSE(second->granted());
  // It does not overlap the first, but may not overtake the second, or a stream of such passes would starve that.
  EXPECT_FALSE(shared->granted());
  first.reset();
  EXPECT_FALSE(shared->granted());
  EXPECT_TRUE(second->granted());
  second.reset();
  EXPECT_TRUE(shared->granted());
}

TEST(RangeLock, WhoGivesUpIsNotWaitedFor) {
  RangeLock lock;
  std::optional<Pass> inside(std::in_place, lock, kShared, 0, 10);
  std::optional<Pass> impatient(std::in_place, lock, kExclusive, 0, 10);
  std::optional<Pass> behind(std::in_place, lock, kShared, 0, 10);
  EXPECT_FALSE(impatient->granted());
  EXPECT_FALSE(behind->granted());
  impatient.reset();
  EXPECT_TRUE(behind->granted());
}

TEST(RangeLock, RangesAtTheEndOfTheAddressSpaceDoNotWrap) {
  RangeLock lock;
  Pass all(lock, kExclusive, 0, UINT64_MAX);
  ASSERT_TRUE(all.granted());
  Pass last(lock, kShared, UINT64_MAX - 1, 1);
  EXPECT_FALSE(last.granted());
}

// Threads that add to one counter in two steps, and others that must never see a step in between.
TEST(RangeLock, KeepsThreadsApart) {
  constexpr int kRounds = 2000;
  RangeLock lock;
  std::uint64_t low = 0, high = 0;  // deliberately not atomic: the lock is what is tested
  std::atomic<int> torn{0};
  const auto wait = [](Pass& pass) {
    while (!pass.granted()) std::this_thread::yield();
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        Pass pass(lock, kExclusive, 0, 16);
        wait(pass);
        ++low;
        ++high;
      }
    });
    threads.emplace_back([&] {
      for (int round = 0; round < kRounds; ++round) {
        Pass pass(lock, kShared, 8, 16);
        wait(pass);
        if (low != high) ++torn;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(low, 2u * kRounds);
}

}  // namespace
}  // namespace peerlane::target
