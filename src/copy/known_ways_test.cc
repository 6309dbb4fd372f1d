#include "copy/known_ways.h"

#include <algorithm>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "copy/storage.h"

namespace peerlane::copy {
namespace {

DirectWays because(std::string reason) {
  DirectWays ways;
  ways.refusals.push_back({Way::kClone, std::move(reason)});
  return ways;
}

std::string found(const KnownWays& known, const std::string& pair, io::TimePoint now) {
  const auto ways = known.find(pair, now);
  return ways ? ways->refusals.front().reason : "nothing";
}

TEST(KnownWays, AreKeptForAWhile) {
  const io::TimePoint now = io::Clock::now();
  KnownWays known;
  EXPECT_EQ(found(known, "a", now), "nothing");
  known.keep("a", because("first"), now);
  EXPECT_EQ(found(known, "a", now + limits::kDirectWaysAge - std::chrono::milliseconds(1)), "first");
  EXPECT_EQ(found(known, "b", now), "nothing");
  EXPECT_EQ(found(known, "a", now + limits::kDirectWaysAge), "nothing");
  known.keep("a", because("second"), now + limits::kDirectWaysAge);
  EXPECT_EQ(found(known, "a", now + limits::kDirectWaysAge), "second");
}

TEST(KnownWays, AreNoMoreThanTheirLimit) {
  const io::TimePoint now = io::Clock::now();
  const auto name = [](std::size_t i) { return fmt::format("pair {}", i); };
  KnownWays known;
  for (std::size_t i = 0; i < limits::kDirectWaysKept; ++i) {
    known.keep(name(i), because(name(i)), now + std::chrono::microseconds(i));
  }
  // The oldest is found out again, so that the second one is the oldest.
  known.keep(name(0), because("again"), now + std::chrono::milliseconds(1));
  known.keep("one more", because("one more"), now + std::chrono::milliseconds(2));
  EXPECT_EQ(found(known, name(0), now), "again");
  EXPECT_EQ(found(known, name(1), now), "nothing");
  for (std::size_t i = 2; i < limits::kDirectWaysKept; ++i) EXPECT_EQ(found(known, name(i), now), name(i));
  EXPECT_EQ(found(known, "one more", now), "one more");
}

TEST(KnownWays, MayBeUsedByManyThreads) {
  const io::TimePoint now = io::Clock::now();
  KnownWays known;
  const auto use = [&](unsigned seed) {
    for (unsigned i = 0; i < 2000; ++i) {
      const std::string pair = fmt::format("{}", (i * seed) % 100);
      known.keep(pair, because(pair), now);
      const std::string reason = found(known, pair, now);
      EXPECT_TRUE(reason == pair || reason == "nothing") << reason;
    }
  };
  std::jthread other(use, 7);
  use(13);
}

TEST(NameOfPair, TellsWhateverTheWaysLookAt) {
  Storage plain;
  plain.kind = Storage::Kind::kBlockDevice;
  plain.name = "a disk";
  plain.device = 1;
  std::vector<Storage> others(11, plain);
  others[0].kind = Storage::Kind::kFile;
  others[1].name = "another";
  others[2].device = 2;
  others[3].inode = 2;
  others[4].disk = 2;
  others[5].start = 2;
  others[6].file_system = 2;
  others[7].block = 2;
  others[8].direct_io = true;
  others[9].backing.direct = true;
  others[10].backing.unit = 2;
  const std::string name = name_of_pair(plain, plain, pcie::Policy::kOff);
  EXPECT_EQ(name, name_of_pair(Storage(plain), Storage(plain), pcie::Policy::kOff));
  EXPECT_NE(name, name_of_pair(plain, plain, pcie::Policy::kKernel));
  std::vector<std::string> names{name};
  for (const Storage& other : others) {
    names.push_back(name_of_pair(other, plain, pcie::Policy::kOff));
    names.push_back(name_of_pair(plain, other, pcie::Policy::kOff));
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
}

}  // namespace
}  // namespace peerlane::copy
