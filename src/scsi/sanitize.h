// SANITIZE (SBC-4 §5.28): the options in its CDB, and the parameter list of its service action OVERWRITE.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>

#include "base/bytes.h"
#include "scsi/sense.h"

namespace peerlane::scsi {

// Byte 1 of the CDB, beside the service action. ZNR (bit 6) is for zoned devices and reserved here.
inline constexpr std::uint8_t kSanitizeImmediate = 0x80;     // IMMED
inline constexpr std::uint8_t kSanitizeUnrestricted = 0x20;  // AUSE: EXIT FAILURE MODE is allowed after a failure
inline constexpr std::uint8_t kSanitizeUnrestrictedBit = 5;
inline constexpr std::size_t kSanitizeParameterListLength = 7;  // two bytes

inline constexpr std::size_t kOverwriteHeaderBytes = 4;

/// What OVERWRITE is to do. The pattern borrows from the parameter list.
struct SanitizeOverwrite {
  bool invert = false;      // each pass writes the complement of the one before
  std::uint8_t passes = 1;  // OVERWRITE COUNT, 1 to 31
  ByteView pattern;         // INITIALIZATION PATTERN, 1 to a block's size: repeated in each block
};

/// Reads a parameter list, all of which is there, for blocks of `block_size`; or says which field is wrong. TEST has no
/// meaning in the standard but "vendor specific", and only 00b is taken.
std::expected<SanitizeOverwrite, Sense> decode_sanitize_overwrite(ByteView list, std::size_t block_size);

}  // namespace peerlane::scsi
