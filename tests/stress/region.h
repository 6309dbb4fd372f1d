// What must be on the disk: for each block of a region the generations that it may hold.
//
// Every write has a generation of its own, and fills each of its blocks with a pattern made of the generation and the
// block's place, so that a block that was read says which write it is of, and every byte of it can be checked.
// Generation 0 are zeroes: what was never written. A block has one generation that it must hold, or several that it may
// hold, after a write that was aborted: then the first read says which it is, and it must stay so.
//
// Commands claim their blocks while they are under way: what overlaps a write may see it in parts, as on any disk.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace peerlane::storm {

using Generation = std::uint64_t;

/// How a command that changes blocks ended.
enum class Outcome : std::uint8_t { kDone, kNotDone, kUnknown };

/// Fills one block.
void make_block(ByteSpan block, unsigned lun, std::uint64_t lba, Generation generation);

/// Thread-safe: a region may belong to one session or to all.
class Region {
 public:
  Region(unsigned lun, std::uint32_t block_size, std::uint64_t first, std::uint64_t count);

  unsigned lun() const { return lun_; }
  std::uint32_t block_size() const { return block_size_; }
  std::uint64_t first() const { return first_; }
  std::uint64_t count() const { return blocks_.size(); }

  /// Claims blocks, by their addresses on the disk, for a command. False if another command has any of them, or, for a
  /// write, if too little is known of one: it has to be read first.
  bool claim(std::uint64_t lba, std::uint64_t count, bool write);

  /// A command that gives the blocks this generation is about to be sent.
  void expect(std::uint64_t lba, std::uint64_t count, Generation generation);

  /// The command that claimed the blocks for writing has ended.
  void settle(std::uint64_t lba, std::uint64_t count, Generation generation, Outcome outcome);

  /// A read of claimed blocks has given these bytes: learns from them, or says what is wrong.
  std::optional<std::string> check(std::uint64_t lba, ByteView bytes);

  /// The command that claimed blocks for reading has ended.
  void release(std::uint64_t lba, std::uint64_t count);

 private:
  static constexpr std::size_t kMostPossible = 4;

  struct Block {
    std::array<Generation, kMostPossible> possible{};
    std::uint8_t possibilities = 1;
    std::int16_t claims = 0;  // readers; -1: a writer
  };

  std::span<Block> blocks_at(std::uint64_t lba, std::uint64_t count);
  static void remove(Block& block, Generation generation);
  std::optional<std::string> check_block(Block& block, std::uint64_t lba, ByteView bytes);

  const unsigned lun_;
  const std::uint32_t block_size_;
  const std::uint64_t first_;
  std::mutex mutex_;
  std::vector<Block> blocks_;
};

}  // namespace peerlane::storm
