// What a copy manager can do: the parameter data of RECEIVE COPY OPERATING PARAMETERS (SPC-4 §6.23). The decoder of
// EXTENDED COPY's parameter list (scsi/extended_copy.h) holds initiators to the same values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace peerlane::scsi {

struct CopyOperatingParameters {
  bool no_list_identifier = false;  // SNLID: LIST ID USAGE may be 11b
  std::uint16_t max_cscds = 0;      // MAXIMUM CSCD DESCRIPTOR COUNT
  std::uint16_t max_segments = 0;   // MAXIMUM SEGMENT DESCRIPTOR COUNT
  /// MAXIMUM DESCRIPTOR LIST LENGTH: both lists together, bytes. Larger than what one too many of each kind takes, so
  /// that this is what an initiator hears of.
  std::uint32_t max_descriptor_bytes = 0;
  std::uint32_t max_segment_bytes = 0;    // MAXIMUM SEGMENT LENGTH; 0: no limit
  std::uint32_t max_inline_bytes = 0;     // MAXIMUM INLINE DATA LENGTH; 0: none
  std::uint32_t held_data_bytes = 0;      // HELD DATA LIMIT
  std::uint32_t max_stream_transfer = 0;  // MAXIMUM STREAM DEVICE TRANSFER SIZE
  std::uint16_t total_copies = 0;         // TOTAL CONCURRENT COPIES; 0: nothing is said
  std::uint8_t concurrent_copies = 0;     // MAXIMUM CONCURRENT COPIES with a list identifier
  std::uint8_t data_granularity = 0;      // exponents of two, bytes
  std::uint8_t inline_granularity = 0;
  std::uint8_t held_granularity = 0;
  std::vector<std::uint8_t> descriptor_types = {};  // implemented, ascending; at most 255

  bool implements(std::uint8_t type) const {
    return std::ranges::find(descriptor_types, type) != descriptor_types.end();
  }

  friend bool operator==(const CopyOperatingParameters&, const CopyOperatingParameters&) = default;
};

std::vector<std::uint8_t> encode_copy_operating_parameters(const CopyOperatingParameters& parameters);

/// Nothing if the fixed part is not there; descriptor type codes that were cut off are missing.
std::optional<CopyOperatingParameters> decode_copy_operating_parameters(ByteView bytes);

}  // namespace peerlane::scsi
