// GET LBA STATUS parameter data (SBC-4 §5.6): which blocks have space of their own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "scsi/blocks.h"

namespace peerlane::scsi {

/// PROVISIONING STATUS (SBC-4 table 68).
enum class ProvisioningStatus : std::uint8_t { kMapped = 0, kDeallocated = 1, kAnchored = 2 };

struct LbaStatus {
  Lba lba;
  BlockCount count;  // at most FFFFFFFFh
  ProvisioningStatus status = ProvisioningStatus::kMapped;

  friend bool operator==(const LbaStatus&, const LbaStatus&) = default;
};

inline constexpr std::size_t kLbaStatusHeaderBytes = 8;
inline constexpr std::size_t kLbaStatusDescriptorBytes = 16;

/// Writes the data for `descriptors` to `out`, which has room for the header and all of them; returns their size.
std::size_t encode_lba_status(std::span<const LbaStatus> descriptors, ByteSpan out);

/// The `index`th descriptor; nothing at the end of the list, also where it was cut short.
std::optional<LbaStatus> lba_status_entry(ByteView bytes, std::size_t index);

}  // namespace peerlane::scsi
