#include "io/buffer_pool.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"

namespace peerlane::io {
namespace {

constexpr std::size_t kMiB = 1u << 20;

TEST(BufferPool, GivesAlignedBuffersThatDoNotOverlap) {
  BufferPool pool(8 * kMiB, kMiB);
  std::vector<Buffer> buffers;
  for (std::size_t size : {std::size_t{1}, std::size_t{4096}, std::size_t{4097}, std::size_t{100'000}, kMiB, std::size_t{512}}) {
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
  BufferPool pool(2 * kMiB, kMiB);
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
  BufferPool pool(4 * kMiB, 0);
  {
    auto a = pool.allocate(4096);
    auto b = pool.allocate(4096);
    *a = std::move(*b);
    EXPECT_FALSE(Buffer());
  }
  EXPECT_EQ(pool.bytes_out(), 0u);
}

}  // namespace
}  // namespace peerlane::io
