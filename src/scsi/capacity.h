// READ CAPACITY parameter data (SBC-4 §5.16 and §5.17).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "scsi/blocks.h"

namespace peerlane::scsi {

struct Capacity {
  BlockCount blocks = {};                // at least one
  std::uint32_t block_size = 512;        // bytes
  std::uint8_t physical_exponent = 0;    // logical blocks per physical block, as a power of two
  bool provisioning = false;             // LBPME: blocks may be unmapped
  bool reads_zeroes = false;             // LBPRZ: unmapped blocks read as zeroes
  std::uint16_t lowest_aligned_lba = 0;  // the first logical block that starts a physical one; 14 bits

  friend bool operator==(const Capacity&, const Capacity&) = default;
};

inline constexpr std::size_t kCapacity10Bytes = 8;
inline constexpr std::size_t kCapacity16Bytes = 32;

/// Writes READ CAPACITY(10) data to `out` and returns kCapacity10Bytes. A last LBA that does not fit shows as
/// FFFFFFFFh: "ask READ CAPACITY(16)".
std::size_t encode_capacity10(const Capacity& capacity, ByteSpan out);
/// Writes READ CAPACITY(16) data to `out` and returns kCapacity16Bytes.
std::size_t encode_capacity16(const Capacity& capacity, ByteSpan out);

/// Nothing if the data are too short, or the device says that it needs READ CAPACITY(16).
std::optional<Capacity> decode_capacity10(ByteView bytes);
/// Nothing below the 12 bytes that hold address and length; what is missing after them is 0.
std::optional<Capacity> decode_capacity16(ByteView bytes);

}  // namespace peerlane::scsi
