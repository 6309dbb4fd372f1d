#include "block/range_locks.h"

#include <vector>

#include <gtest/gtest.h>

#include "io/event.h"
#include "io/testing.h"

namespace peerlane::block {
namespace {

/// Holds a range until told to let go, and notes when it got it.
io::Task<void> hold(RangeLocks& locks, std::uint64_t first, std::uint64_t end, RangeUse use, int name,
                    std::vector<int>& got, io::Event& let_go) {
  RangeLocks::Hold hold(locks, first, end, use);
  co_await hold;
  got.push_back(name);
  co_await let_go;
}

io::Task<void> rounds(int count) {
  for (; count > 0; --count) co_await io::sleep(io::Reactor::current(), std::chrono::milliseconds(1));
}

class RangeLocksTest : public ::testing::Test {
 protected:
  void run(io::Task<void> task) { io::testing::run(*reactor_, std::move(task)); }
  void start(std::uint64_t first, std::uint64_t end, RangeUse use, int name, io::Event& let_go) {
    io::spawn(hold(locks_, first, end, use, name, got_, let_go));
  }

  std::unique_ptr<io::Reactor> reactor_ = std::move(*io::Reactor::create());
  RangeLocks locks_;
  std::vector<int> got_;
  io::Event one_, two_, three_, four_;

  io::Task<void> overlapping() {
    start(0, 4, RangeUse::kDevice, 1, one_);
    start(2, 6, RangeUse::kDevice, 2, two_);
    start(4, 8, RangeUse::kDevice, 3, three_);  // overlaps only one that waits itself, and must not overtake it
    start(8, 9, RangeUse::kDevice, 4, four_);
    EXPECT_EQ(got_, (std::vector<int>{1, 4}));
    one_.set();
    co_await rounds(2);
    EXPECT_EQ(got_, (std::vector<int>{1, 4, 2}));
    two_.set();
    co_await rounds(2);
    EXPECT_EQ(got_, (std::vector<int>{1, 4, 2, 3}));
    three_.set();
    four_.set();
    co_await rounds(2);
  }

  io::Task<void> kinds() {
    start(0, 4, RangeUse::kWriteOut, 1, one_);
    start(0, 4, RangeUse::kCached, 2, two_);  // works on the cache, the other on copies
    start(1, 2, RangeUse::kCached, 3, two_);
    start(3, 5, RangeUse::kWriteOut, 4, three_);  // but not two of these
    start(0, 1, RangeUse::kDevice, 5, four_);
    EXPECT_EQ(got_, (std::vector<int>{1, 2, 3}));
    one_.set();
    co_await rounds(2);
    EXPECT_EQ(got_, (std::vector<int>{1, 2, 3, 4})) << "a cached write is still there";
    two_.set();
    co_await rounds(2);
    EXPECT_EQ(got_, (std::vector<int>{1, 2, 3, 4, 5}));
    three_.set();
    four_.set();
    co_await rounds(2);
  }
};

TEST_F(RangeLocksTest, OverlappingChangesComeInTheirOrder) {
  run(overlapping());
}

TEST_F(RangeLocksTest, WhatDoesNoHarmToEachOtherGoesTogether) {
  run(kinds());
}

}  // namespace
}  // namespace peerlane::block
