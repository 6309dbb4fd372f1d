#include "cli/bench_data.h"

#include <vector>

#include <gtest/gtest.h>

namespace peerlane::cli {
namespace {

constexpr std::uint64_t kSeed = 42;
constexpr std::uint64_t kOffset = 1 << 20;

std::vector<std::uint8_t> pattern(std::uint64_t seed, std::uint64_t offset, std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  fill_with_pattern(seed, offset, bytes);
  return bytes;
}

TEST(BenchData, IsTheSameWhateverTheBlocks) {
  const auto whole = pattern(kSeed, kOffset, 4096);
  for (std::size_t at = 0; at < whole.size(); at += 512) {
    const auto part = pattern(kSeed, kOffset + at, 512);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + static_cast<std::ptrdiff_t>(at)));
  }
  EXPECT_EQ(first_difference(kSeed, kOffset, whole), std::nullopt);
}

TEST(BenchData, ShowsTheFirstDifference) {
  for (const std::size_t wrong : {std::size_t{0}, std::size_t{7}, std::size_t{1000}, std::size_t{4095}}) {
    auto bytes = pattern(kSeed, kOffset, 4096);
    bytes[wrong] ^= 1;
    bytes.back() ^= 2;
    EXPECT_EQ(first_difference(kSeed, kOffset, bytes), kOffset + wrong / 8 * 8);
  }
}

TEST(BenchData, DiffersByPlaceAndSeed) {
  const auto bytes = pattern(kSeed, kOffset, 512);
  EXPECT_EQ(first_difference(kSeed, kOffset + 512, bytes), kOffset + 512);
  EXPECT_EQ(first_difference(kSeed + 1, kOffset, bytes), kOffset);
}

TEST(BenchData, SaysWhatIsThereInstead) {
  EXPECT_EQ(describe_word(kSeed, 4096, pattern(kSeed, 12288, 512), 4096), "what belongs at 12288");
  EXPECT_EQ(describe_word(kSeed, 4096, pattern(kSeed, 12288, 512), 4104), "what belongs at 12296");
  EXPECT_EQ(describe_word(kSeed, 4096, std::vector<std::uint8_t>(512), 4096), "zeroes");
  EXPECT_TRUE(describe_word(kSeed, 0, pattern(~kSeed * 77, 0, 512), 0).ends_with("this seed writes nowhere"));
}

TEST(WrittenBlocks, AreFoundInOrder) {
  WrittenBlocks written(1000);
  EXPECT_EQ(written.next_marked(0, 1000), 1000u);
  for (const std::uint64_t block : {std::uint64_t{0}, std::uint64_t{63}, std::uint64_t{64}, std::uint64_t{999}}) {
    EXPECT_FALSE(written.marked(block));
    written.mark(block);
    EXPECT_TRUE(written.marked(block));
  }
  EXPECT_EQ(written.next_marked(0, 1000), 0u);
  EXPECT_EQ(written.next_marked(1, 1000), 63u);
  EXPECT_EQ(written.next_marked(64, 1000), 64u);
  EXPECT_EQ(written.next_marked(65, 1000), 999u);
  EXPECT_EQ(written.next_marked(65, 900), 900u);
  EXPECT_EQ(written.next_marked(1, 40), 40u);
}

}  // namespace
}  // namespace peerlane::cli
