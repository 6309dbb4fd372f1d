// READ DEFECT DATA parameter data (SBC-4 §5.19, §5.20) of a device that has no defects to list: the header alone, which
// repeats which lists were asked for and in which format.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace peerlane::scsi {

/// REQ_PLIST, REQ_GLIST and DEFECT LIST FORMAT of the CDB, and what the header says of the lists returned: the same
/// bits in both.
inline constexpr std::uint8_t kDefectListBits = 0x1f;

/// Header for READ DEFECT DATA(10), 4 bytes; returns its size.
std::size_t encode_no_defects10(std::uint8_t lists, ByteSpan out);

/// Header for READ DEFECT DATA(12), 8 bytes; returns its size.
std::size_t encode_no_defects12(std::uint8_t lists, ByteSpan out);

}  // namespace peerlane::scsi
