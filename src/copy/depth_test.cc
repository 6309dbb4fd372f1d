#include "copy/depth.h"

#include <algorithm>
#include <functional>
#include <map>

#include <gtest/gtest.h>

namespace peerlane::copy {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kPiece = 1u << 20;

/// Bytes a second that a disk does with so many pieces under way.
using Disk = std::function<double(unsigned depth)>;

/// A disk that takes `latency` for any piece, and does at most `most` bytes a second.
Disk far_away(double latency, double most) {
  return [latency, most](unsigned depth) { return std::min(depth * kPiece / latency, most); };
}

/// One that is fastest with some, and the slower the more there are beyond.
Disk crowded(unsigned best, double rate) {
  return [best, rate](unsigned depth) { return depth <= best ? rate * depth / best : rate * best / depth; };
}

struct Copy {
  Depth depth{0};
  io::TimePoint now = io::Clock::now();

  /// Copies for so long, and says for which part of the time which depth was used.
  std::map<unsigned, double> run(const Disk& disk, io::Duration length) {
    std::map<unsigned, double> used;
    const io::TimePoint end = now + length;
    while (now < end) {
      const unsigned with = depth.now();
      const std::chrono::duration<double> taken(kPiece / disk(with));
      now += std::chrono::duration_cast<io::Duration>(taken);
      used[with] += taken / length;
      depth.moved(kPiece, now);
    }
    return used;
  }
};

TEST(DepthTest, StaysWhereItIsToldTo) {
  Copy copy{.depth = Depth(7)};
  EXPECT_EQ(7U, copy.depth.most());
  EXPECT_EQ(1U, copy.run(far_away(0.1, 1e12), 10s).size());
  EXPECT_EQ(7U, copy.depth.now());
}

TEST(DepthTest, GrowsUntilADiskFarAwayIsBusy) {
  Copy copy;
  EXPECT_EQ(limits::kMostCopyDepth, copy.depth.most());
  copy.run(far_away(0.01, 1e9), 5s);  // 9.5 pieces are under way at its full rate
  auto used = copy.run(far_away(0.01, 1e9), 60s);
  EXPECT_GT(used[16], 0.85);
}

TEST(DepthTest, GrowsUpToTheLimit) {
  Copy copy;
  copy.run(far_away(0.1, 1e12), 10s);
  EXPECT_EQ(limits::kMostCopyDepth, copy.depth.now());
  auto used = copy.run(far_away(0.1, 1e12), 300s);
  EXPECT_GT(used[limits::kMostCopyDepth], 0.85);
}

TEST(DepthTest, LeavesADiskAloneThatMoreMakeSlower) {
  Copy copy;
  auto used = copy.run(crowded(4, 1e9), 10s);
  EXPECT_GT(used[4], 0.8);
  EXPECT_EQ(0, used.count(16)) << "twice as many were tried, and not twice as many again";
}

TEST(DepthTest, TakesTheFewestThatAreAsFast) {
  Copy copy;
  copy.run([](unsigned) { return 1e9; }, 5s);
  auto used = copy.run([](unsigned) { return 1e9; }, 30s);
  EXPECT_GT(used[1], 0.8);
}

TEST(DepthTest, FollowsADiskThatChanges) {
  Copy copy;
  copy.run(crowded(2, 1e9), 30s);
  EXPECT_LE(copy.depth.now(), 4U);
  copy.run(far_away(0.05, 1e9), 60s);
  EXPECT_EQ(limits::kMostCopyDepth, copy.depth.now());
  copy.run(crowded(2, 1e9), 60s);
  EXPECT_LE(copy.depth.now(), 4U);
}

/// What is measured while the first pieces come in all at once, or of a single piece, would be any number.
TEST(DepthTest, DoesNotJudgeByAFewPieces) {
  Depth depth(0);
  const io::TimePoint start = io::Clock::now();
  for (unsigned i = 0; i < 3 * limits::kFirstCopyDepth; ++i) depth.moved(kPiece, start);
  depth.moved(kPiece, start + 10s);
  EXPECT_EQ(limits::kFirstCopyDepth, depth.now());
}

}  // namespace
}  // namespace peerlane::copy
