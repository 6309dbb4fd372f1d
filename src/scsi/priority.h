// REPORT PRIORITY parameter data (SPC-4 §6.32): the command priorities of I_T nexuses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "scsi/transport_id.h"

namespace peerlane::scsi {

/// PRIORITY REPORTED: byte 2 of the CDB, its two highest bits.
enum class PriorityReported : std::uint8_t {
  kOwn = 0,      // that of the I_T nexus that asks
  kChanged = 1,  // those of all I_T nexuses that are not the initial one
};

struct NexusPriority {
  std::uint8_t priority = 0;  // 1 the highest, 15 the lowest; 0: none
  std::uint16_t relative_target_port = 0;
  TransportId initiator;
};

inline constexpr std::size_t kPriorityHeaderBytes = 4;
inline constexpr std::size_t kPriorityDescriptorBytes = 8;  // and the TransportID

/// Writes the parameter data to `out`, which has room for all of it; returns its size.
std::size_t encode_priorities(std::span<const NexusPriority> priorities, ByteSpan out);

}  // namespace peerlane::scsi
