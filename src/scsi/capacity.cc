#include "scsi/capacity.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace peerlane::scsi {
namespace {

constexpr std::uint32_t kSeeCapacity16 = 0xffffffff;

// READ CAPACITY(10) (SBC-4 table 75).
constexpr std::size_t kBlockSize10 = 4;

// READ CAPACITY(16) (SBC-4 table 77).
constexpr std::size_t kBlockSize16 = 8;
constexpr std::size_t kExponentByte = 13;
constexpr std::uint8_t kExponentMask = 0x0f;
constexpr std::size_t kProvisioning = 14;
constexpr std::uint16_t kLbpme = 0x8000;
constexpr std::uint16_t kLbprz = 0x4000;
constexpr std::uint16_t kLowestAlignedMask = 0x3fff;

}  // namespace

std::size_t encode_capacity10(const Capacity& capacity, ByteSpan out) {
  assert(out.size() >= kCapacity10Bytes && capacity.blocks.value != 0);
  put_be32(out, 0, static_cast<std::uint32_t>(std::min<std::uint64_t>(capacity.blocks.value - 1, kSeeCapacity16)));
  put_be32(out, kBlockSize10, capacity.block_size);
  return kCapacity10Bytes;
}

std::size_t encode_capacity16(const Capacity& capacity, ByteSpan out) {
  assert(out.size() >= kCapacity16Bytes && capacity.blocks.value != 0);
  std::fill_n(out.begin(), kCapacity16Bytes, std::uint8_t{0});
  put_be64(out, 0, capacity.blocks.value - 1);
  put_be32(out, kBlockSize16, capacity.block_size);
  out[kExponentByte] = static_cast<std::uint8_t>(capacity.physical_exponent & kExponentMask);
  const unsigned flags = (capacity.provisioning ? kLbpme : 0u) | (capacity.reads_zeroes ? kLbprz : 0u);
  put_be16(out, kProvisioning,
           static_cast<std::uint16_t>(flags | (capacity.lowest_aligned_lba & unsigned{kLowestAlignedMask})));
  return kCapacity16Bytes;
}

std::optional<Capacity> decode_capacity10(ByteView bytes) {
  if (bytes.size() < kCapacity10Bytes || get_be32(bytes, 0) == kSeeCapacity16) return std::nullopt;
  Capacity capacity;
  capacity.blocks.value = std::uint64_t{get_be32(bytes, 0)} + 1;
  capacity.block_size = get_be32(bytes, kBlockSize10);
  return capacity;
}

std::optional<Capacity> decode_capacity16(ByteView bytes) {
  if (bytes.size() < kBlockSize16 + 4 || get_be64(bytes, 0) == UINT64_MAX) return std::nullopt;
  std::array<std::uint8_t, kCapacity16Bytes> all{};
  std::ranges::copy(bytes.first(std::min(bytes.size(), all.size())), all.begin());
  const std::uint16_t flags = get_be16(all, kProvisioning);
  return Capacity{
      .blocks = {get_be64(all, 0) + 1},
      .block_size = get_be32(all, kBlockSize16),
      .physical_exponent = static_cast<std::uint8_t>(all[kExponentByte] & kExponentMask),
      .provisioning = (flags & kLbpme) != 0,
      .reads_zeroes = (flags & kLbprz) != 0,
      .lowest_aligned_lba = static_cast<std::uint16_t>(flags & kLowestAlignedMask),
  };
}

}  // namespace peerlane::scsi
