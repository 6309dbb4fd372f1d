#include "block/cache_policy.h"

#include <set>

#include <gtest/gtest.h>

namespace peerlane::block {
namespace {

constexpr std::uint32_t kSlots = 100;

/// Spread as hashes are.
std::uint64_t key(std::uint64_t page) {
  page = (page + 1) * 0x9e3779b97f4a7c15u;
  return page ^ (page >> 29);
}

/// A cache of nothing but names.
class Names {
 public:
  /// Reads a page; whether it was there.
  bool read(std::uint64_t page) {
    for (std::uint32_t slot = 0; slot < used_; ++slot) {
      if (pages_[slot] != page) continue;
      policy.touch(slot);
      return true;
    }
    std::uint32_t slot = used_;
    if (used_ < kSlots) {
      ++used_;
    } else {
      slot = policy.evict().value();
    }
    pages_[slot] = page;
    policy.insert(slot, key(page));
    return false;
  }
  bool has(std::uint64_t page) const {
    for (std::uint32_t slot = 0; slot < used_; ++slot) {
      if (pages_[slot] == page) return true;
    }
    return false;
  }

  CachePolicy policy{kSlots};

 private:
  std::uint64_t pages_[kSlots] = {};
  std::uint32_t used_ = 0;
};

TEST(CachePolicy, AScanDoesNotPushOutWhatIsReadAgain) {
  Names names;
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t page = 0; page < 80; ++page) names.read(page);
  }
  for (std::uint64_t page = 1000; page < 3000; ++page) EXPECT_FALSE(names.read(page));
  for (std::uint64_t page = 0; page < 80; ++page) EXPECT_TRUE(names.has(page)) << page;
}

TEST(CachePolicy, WhatComesBackSoonStaysLonger) {
  Names names;
  for (std::uint64_t page = 0; page < kSlots; ++page) names.read(page);
  for (std::uint64_t page = 1000; page < 1020; ++page) names.read(page);
  ASSERT_FALSE(names.has(3));
  EXPECT_FALSE(names.read(3));  // it was remembered: to the main queue
  for (std::uint64_t page = 2000; page < 2000 + 2 * kSlots; ++page) names.read(page);
  EXPECT_TRUE(names.has(3));
  // A page that nobody remembers goes first.
  EXPECT_FALSE(names.has(2000));
}

TEST(CachePolicy, WhatIsNotReadAnyMoreGoesInTheEnd) {
  Names names;
  for (int round = 0; round < 5; ++round) {
    for (std::uint64_t page = 0; page < 50; ++page) names.read(page);
  }
  for (int round = 0; round < 20; ++round) {
    for (std::uint64_t page = 500; page < 620; ++page) names.read(page);
  }
  for (std::uint64_t page = 0; page < 50; ++page) EXPECT_FALSE(names.has(page)) << page;
}

TEST(CachePolicy, WhatIsTakenOutDoesNotGo) {
  CachePolicy policy(4);
  for (std::uint32_t slot = 0; slot < 4; ++slot) policy.insert(slot, key(slot));
  policy.take_out(0);
  policy.take_out(0);
  std::set<std::uint32_t> gone;
  for (int i = 0; i < 3; ++i) gone.insert(policy.evict().value());
  EXPECT_EQ(gone, (std::set<std::uint32_t>{1, 2, 3}));
  EXPECT_FALSE(policy.evict());
  policy.put_back(0);
  EXPECT_TRUE(policy.is_queued(0));
  EXPECT_EQ(policy.evict(), 0u);
}

TEST(GhostList, ForgetsWhatIsTooLongAgo) {
  GhostList ghosts(64);
  ghosts.remember(key(1));
  for (std::uint64_t page = 100; page < 110; ++page) ghosts.remember(key(page));
  EXPECT_TRUE(ghosts.recall(key(1)));
  EXPECT_FALSE(ghosts.recall(key(1))) << "once";
  EXPECT_FALSE(ghosts.recall(key(2)));
  ghosts.remember(key(1));
  for (std::uint64_t page = 200; page < 264; ++page) ghosts.remember(key(page));
  EXPECT_FALSE(ghosts.recall(key(1)));
}

}  // namespace
}  // namespace peerlane::block
