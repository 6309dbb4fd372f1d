#include "io/buffer_pool.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"

namespace peerlane::io {
namespace {

constexpr std::size_t kMiB = 1u << 20;

struct NoExecutor final : Executor {
  DeferredQueue queue;
  TimePoint now() const override { return {}; }
  void post(std::function<void()> work) override { work(); }
  void defer(Deferred& deferred) override { queue.add(deferred); }
  bool here() const override { return true; }
  void arm(Timer& timer) override { static_cast<void>(timer); }
  void disarm(Timer& timer) override { static_cast<void>(timer); }
};

NoExecutor executor;

TEST(BufferPool, GivesAlignedBuffersThatDoNotOverlap) {
  BufferPool pool(executor, 8 * kMiB, kMiB);
  std::vector<Buffer> buffers;
  for (std::size_t size :
       {std::size_t{1}, std::size_t{4096}, std::size_t{4097}, std::size_t{100'000}, kMiB, std::size_t{512}}) {
    auto buffer = pool.allocate(size);
    ASSERT_TRUE(buffer.has_value());
    EXPECT_EQ(buffer->size(), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->bytes().data()) % 4096, 0u);
    std::fill(buffer->bytes().begin(), buffer->bytes().end(), static_cast<std::uint8_t>(buffers.size() + 1));
    buffers.push_back(std::move(*buffer));
  }
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    for (const std::uint8_t byte : buffers[i].bytes()) ASSERT_EQ(byte, i + 1);
  }
}

TEST(BufferPool, ReachingItsLimitIsAnAnswerAndReturningHelps) {
  BufferPool pool(executor, 2 * kMiB, kMiB);
  auto first = pool.allocate(kMiB);
  auto second = pool.allocate(kMiB);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(pool.allocate(kMiB).has_value());
  EXPECT_FALSE(pool.allocate(1).has_value());
  EXPECT_EQ(pool.bytes_out(), 2 * kMiB);
  second->release();
  EXPECT_EQ(pool.bytes_out(), kMiB);
  EXPECT_TRUE(pool.allocate(kMiB).has_value());
}

TEST(BufferPool, MemoryThatServedOneSizeServesAnyOther) {
  BufferPool pool(executor, 3 * kMiB, kMiB);
  std::vector<Buffer> buffers;
  const auto fill_with = [&](std::size_t size) {
    buffers.clear();
    while (auto buffer = pool.allocate(size)) {
      std::ranges::fill(buffer->bytes(), static_cast<std::uint8_t>(buffers.size()));
      buffers.push_back(std::move(*buffer));
    }
    return buffers.size();
  };
  EXPECT_EQ(fill_with(4096), 3u * 256);
  EXPECT_EQ(fill_with(kMiB), 3u);
  EXPECT_EQ(fill_with(64u << 10), 3u * 16);
  // One slab whose buffers are all free among others is enough.
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    if (i % 16 != 0) buffers[i].release();
  }
  EXPECT_FALSE(pool.allocate(kMiB)) << "every slab has a buffer out";
  EXPECT_TRUE(pool.allocate(64u << 10)) << "those that are free are still to be had";
  buffers[16].release();
  auto whole = pool.allocate(kMiB);
  ASSERT_TRUE(whole);
  std::ranges::fill(whole->bytes(), std::uint8_t{0xff});
  EXPECT_EQ(buffers[0].bytes()[0], 0);
  EXPECT_EQ(buffers[32].bytes()[0], 32);
  std::size_t rest = 0;
  std::vector<Buffer> others;
  while (auto buffer = pool.allocate(64u << 10)) {
    others.push_back(std::move(*buffer));
    ++rest;
  }
  EXPECT_EQ(rest, 2u * 15);
}

TEST(BufferPool, ReturnsWhatIsMovedOverOrDropped) {
  BufferPool pool(executor, 4 * kMiB, 0);
  {
    auto a = pool.allocate(4096);
    auto b = pool.allocate(4096);
    *a = std::move(*b);
    EXPECT_FALSE(Buffer());
  }
  EXPECT_EQ(pool.bytes_out(), 0u);
}

Task<void> take(BufferPool& pool, BufferShare& share, std::size_t size, std::vector<Buffer>& into) {
  Buffer buffer = co_await pool.allocate(share, size);
  into.push_back(std::move(buffer));
}

TEST(BufferShare, WaitsForItsOwnBuffersWhileOthersGoOn) {
  BufferPool pool(executor, 8 * kMiB, 0);
  BufferShare one(kMiB);
  BufferShare other(kMiB);
  std::vector<Buffer> ones;
  std::vector<Buffer> others;
  spawn(take(pool, one, kMiB, ones));
  spawn(take(pool, one, 4096, ones));  // waits
  executor.queue.run();
  EXPECT_EQ(ones.size(), 1u);
  spawn(take(pool, other, 4096, others));
  executor.queue.run();
  EXPECT_EQ(others.size(), 1u);
  ones.erase(ones.begin());
  executor.queue.run();
  EXPECT_EQ(ones.size(), 1u);
  EXPECT_EQ(one.bytes_out(), 4096u);
}

TEST(BufferShare, WaitsForThePoolAndIsServedInOrder) {
  BufferPool pool(executor, kMiB, 0);
  BufferShare one(kMiB);
  BufferShare other(kMiB);
  std::vector<Buffer> ones;
  std::vector<Buffer> others;
  spawn(take(pool, one, kMiB, ones));
  spawn(take(pool, other, kMiB, others));
  executor.queue.run();
  EXPECT_TRUE(others.empty());
  ones.clear();
  executor.queue.run();
  EXPECT_EQ(others.size(), 1u);
}

TEST(BufferShare, WhoHoldsMuchLeavesHalfToTheOthers) {
  BufferPool pool(executor, 8 * kMiB, 0);
  BufferShare greedy(100 * kMiB);
  BufferShare modest(100 * kMiB);
  std::vector<Buffer> most;
  std::vector<Buffer> little;
  for (int i = 0; i < 6; ++i) spawn(take(pool, greedy, kMiB, most));
  executor.queue.run();
  EXPECT_EQ(most.size(), 4u);
  spawn(take(pool, modest, kMiB, little));
  executor.queue.run();
  EXPECT_EQ(little.size(), 1u);
  // What others give back is had again by whoever waits.
  most.erase(most.begin());
  executor.queue.run();
  EXPECT_EQ(most.size(), 3u) << "four of eight are out";
  little.clear();
  executor.queue.run();
  EXPECT_EQ(most.size(), 4u);
  most.clear();
  executor.queue.run();
  EXPECT_EQ(most.size(), 1u);
}

TEST(BufferPool, SetsAQuarterAsideAtMost) {
  BufferPool pool(executor, 8 * kMiB, 0);
  std::vector<Buffer> aside;
  while (auto buffer = pool.set_aside(256u << 10)) aside.push_back(std::move(*buffer));
  EXPECT_EQ(aside.size(), 8u);
  EXPECT_TRUE(pool.allocate(4096));
  aside.pop_back();
  EXPECT_TRUE(pool.set_aside(4096));
  BufferShare share(100 * kMiB);
  std::vector<Buffer> buffers;
  for (int i = 0; i < 4; ++i) spawn(take(pool, share, kMiB, buffers));
  EXPECT_EQ(buffers.size(), 4u) << "what is set aside does not count among what shares hold";
  aside.clear();
  buffers.clear();
  EXPECT_EQ(pool.bytes_out(), 0u);
}

}  // namespace
}  // namespace peerlane::io
