// Logical block addresses and counts (SBC-4 §4.5). Two types, so that an address is never taken for a length.
#pragma once

#include <compare>
#include <cstdint>

namespace peerlane::scsi {

/// A number of logical blocks.
struct BlockCount {
  std::uint64_t value = 0;

  friend constexpr auto operator<=>(BlockCount, BlockCount) = default;
};

/// The address of a logical block.
struct Lba {
  std::uint64_t value = 0;

  friend constexpr auto operator<=>(Lba, Lba) = default;
  friend constexpr Lba operator+(Lba lba, BlockCount count) { return {lba.value + count.value}; }
  friend constexpr BlockCount operator-(Lba to, Lba from) { return {to.value - from.value}; }
};

/// Whether the blocks [lba, lba + count) all lie below `capacity`. An empty range may begin at the capacity itself.
/// Never overflows.
constexpr bool within(Lba lba, BlockCount count, BlockCount capacity) {
  return lba.value <= capacity.value && count.value <= capacity.value - lba.value;
}

}  // namespace peerlane::scsi
