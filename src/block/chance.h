// Chance that can be repeated: the n-th draw of a seed is always the same, whichever thread makes it.
#pragma once

#include <cstdint>

namespace peerlane::block {

/// The `draw`-th number of the sequence `seed`, from 0 to below 1 (SplitMix64).
inline double chance(std::uint64_t seed, std::uint64_t draw) {
  std::uint64_t value = seed + (draw + 1) * 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  value ^= value >> 31;
  return static_cast<double>(value >> 11) / static_cast<double>(std::uint64_t{1} << 53);
}

}  // namespace peerlane::block
