#include "region.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace peerlane::storm {
namespace {

constexpr std::size_t kWord = sizeof(std::uint64_t);
constexpr unsigned kLunShift = 56;

}  // namespace

void make_block(ByteSpan block, unsigned lun, std::uint64_t lba, Generation generation) {
  if (generation == 0) {
    std::ranges::fill(block, std::uint8_t{0});
    return;
  }
  put_be64(block, 0, generation);
  put_be64(block, kWord, std::uint64_t{lun} << kLunShift | lba);
  std::uint64_t state = generation * 0x9e3779b97f4a7c15u ^ lba;
  for (std::size_t at = 2 * kWord; at < block.size(); at += kWord) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(block.data() + at, &state, kWord);
  }
}

Region::Region(unsigned lun, std::uint32_t block_size, std::uint64_t first, std::uint64_t count)
    : lun_(lun), block_size_(block_size), first_(first), blocks_(count) {}

std::span<Region::Block> Region::blocks_at(std::uint64_t lba, std::uint64_t count) {
  return std::span(blocks_).subspan(lba - first_, count);
}

bool Region::claim(std::uint64_t lba, std::uint64_t count, bool write) {
  const std::lock_guard lock(mutex_);
  const std::span<Block> blocks = blocks_at(lba, count);
  const bool free = std::ranges::all_of(blocks, [&](const Block& block) {
    return write ? block.claims == 0 && block.possibilities < kMostPossible : block.claims >= 0;
  });
  if (!free) return false;
  for (Block& block : blocks) block.claims = write ? std::int16_t{-1} : static_cast<std::int16_t>(block.claims + 1);
  return true;
}

void Region::release(std::uint64_t lba, std::uint64_t count) {
  const std::lock_guard lock(mutex_);
  for (Block& block : blocks_at(lba, count)) --block.claims;
}

void Region::remove(Block& block, Generation generation) {
  const auto end = block.possible.begin() + block.possibilities;
  const auto left = std::remove(block.possible.begin(), end, generation);
  block.possibilities = static_cast<std::uint8_t>(left - block.possible.begin());
}

void Region::expect(std::uint64_t lba, std::uint64_t count, Generation generation) {
  const std::lock_guard lock(mutex_);
  for (Block& block : blocks_at(lba, count)) block.possible[block.possibilities++] = generation;
}

void Region::settle(std::uint64_t lba, std::uint64_t count, Generation generation, Outcome outcome) {
  const std::lock_guard lock(mutex_);
  for (Block& block : blocks_at(lba, count)) {
    block.claims = 0;
    // What expect() added is the last one; zeroes may have been possible before as well.
    --block.possibilities;
    if (outcome == Outcome::kDone) block.possibilities = 0;
    if (outcome == Outcome::kNotDone) continue;
    remove(block, generation);
    block.possible[block.possibilities++] = generation;
  }
}

std::optional<std::string> Region::check(std::uint64_t lba, ByteView bytes) {
  const std::lock_guard lock(mutex_);
  for (Block& block : blocks_at(lba, bytes.size() / block_size_)) {
    if (auto wrong = check_block(block, lba++, bytes.first(block_size_))) return wrong;
    bytes = bytes.subspan(block_size_);
  }
  return std::nullopt;
}

std::optional<std::string> Region::check_block(Block& block, std::uint64_t lba, ByteView bytes) {
  const Generation found = get_be64(bytes, 0);
  const auto end = block.possible.begin() + block.possibilities;
  if (std::find(block.possible.begin(), end, found) == end) {
    return fmt::format("LUN {} block {}: holds generation {:x} (of place {:x}), may hold {:x}", lun_, lba, found,
                       get_be64(bytes, kWord), fmt::join(block.possible.begin(), end, ", "));
  }
  std::vector<std::uint8_t> right(block_size_);
  make_block(right, lun_, lba, found);
  const auto [wrong, _] = std::ranges::mismatch(bytes, right);
  if (wrong != bytes.end()) {
    return fmt::format("LUN {} block {}: begins as generation {:x}, but is torn or damaged from byte {} on", lun_, lba,
                       found, wrong - bytes.begin());
  }
  block.possible[0] = found;
  block.possibilities = 1;
  return std::nullopt;
}

}  // namespace peerlane::storm
