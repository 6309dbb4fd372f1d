#include "cli/bench_data.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <fmt/format.h>

namespace peerlane::cli {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);

// A bijection of 64 bits that looks random (the finaliser of SplitMix64), and its inverse: from a word that is in the
// wrong place follows the place where it belongs.
constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}
constexpr std::uint64_t unmix(std::uint64_t x) {
  x = (x ^ x >> 31 ^ x >> 62) * 0x319642b2d24d8ec3;
  x = (x ^ x >> 27 ^ x >> 54) * 0x96de1b173f119089;
  return x ^ x >> 30 ^ x >> 60;
}
static_assert(unmix(mix(0x0123456789abcdef)) == 0x0123456789abcdef);

std::uint64_t word_at(std::uint64_t seed, std::uint64_t offset) {
  return mix(seed + offset / kWord);
}

}  // namespace

void fill_with_pattern(std::uint64_t seed, std::uint64_t offset, ByteSpan bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += kWord) {
    const std::uint64_t word = word_at(seed, offset + i);
    std::memcpy(bytes.data() + i, &word, kWord);
  }
}

std::optional<std::uint64_t> first_difference(std::uint64_t seed, std::uint64_t offset, ByteView bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += kWord) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, kWord);
    if (word != word_at(seed, offset + i)) return offset + i;
  }
  return std::nullopt;
}

std::string describe_word(std::uint64_t seed, std::uint64_t offset, ByteView bytes, std::uint64_t at) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + (at - offset), kWord);
  if (word == 0) return "zeroes";
  const std::uint64_t place = unmix(word) - seed;
  constexpr std::uint64_t kPlausible = std::uint64_t{1} << 50;  // no disk is larger
  if (place < kPlausible / kWord) return fmt::format("what belongs at {}", place * kWord);
  return fmt::format("{:016x}, which this seed writes nowhere", std::byteswap(word));
}

std::uint64_t WrittenBlocks::next_marked(std::uint64_t from, std::uint64_t end) const {
  end = std::min(end, blocks_);
  while (from < end) {
    const std::uint64_t rest = words_[from / 64].load(std::memory_order_relaxed) >> (from % 64);
    if (rest != 0) return std::min(end, from + static_cast<unsigned>(std::countr_zero(rest)));
    from = (from / 64 + 1) * 64;
  }
  return end;
}

}  // namespace peerlane::cli
