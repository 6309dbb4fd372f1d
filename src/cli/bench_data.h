// What a verifying load writes: data that follow from a seed and from their place, so that any block can be checked by
// itself, at any time, whoever wrote it and in blocks of whatever size. Two writes of one place write the same, so that
// their order does not matter.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace peerlane::cli {

/// Fills `bytes`, which go to `offset` of the disk; both are multiples of 8.
void fill_with_pattern(std::uint64_t seed, std::uint64_t offset, ByteSpan bytes);

/// Where `bytes`, which were read from `offset`, first differ from what belongs there: an offset on the disk. Nothing
/// if they do not.
std::optional<std::uint64_t> first_difference(std::uint64_t seed, std::uint64_t offset, ByteView bytes);

/// What the word that was read from `offset` is, for people: "zeroes", "what belongs at 4096", or its bytes.
std::string describe_word(std::uint64_t seed, std::uint64_t offset, ByteView bytes, std::uint64_t at);

/// Which blocks have been written in this run. Thread-safe.
class WrittenBlocks {
 public:
  explicit WrittenBlocks(std::uint64_t blocks)
      : blocks_(blocks), words_(std::make_unique<std::atomic<std::uint64_t>[]>((blocks + 63) / 64)) {}

  void mark(std::uint64_t block) { words_[block / 64].fetch_or(bit(block), std::memory_order_relaxed); }
  bool marked(std::uint64_t block) const {
    return (words_[block / 64].load(std::memory_order_relaxed) & bit(block)) != 0;
  }
  /// The first marked block from `from` on and before `end`; `end` if there is none.
  std::uint64_t next_marked(std::uint64_t from, std::uint64_t end) const;

 private:
  static constexpr std::uint64_t bit(std::uint64_t block) { return std::uint64_t{1} << (block % 64); }

  std::uint64_t blocks_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> words_;
};

}  // namespace peerlane::cli
