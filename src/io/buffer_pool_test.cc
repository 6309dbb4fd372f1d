#include "io/buffer_pool.h"

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

}  // namespace
}  // namespace peerlane::io
