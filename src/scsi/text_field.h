// Text in fields of fixed width (SPC-4 §4.3.1): printable ASCII, left-aligned, filled with spaces.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace peerlane::scsi {

/// Writes `text` over the whole of `field`: cut if too long, characters that are not printable ASCII replaced by '?'.
void put_text(ByteSpan field, std::string_view text);

/// The text of a field without the spaces and NULs at its end.
std::string get_text(ByteView field);

}  // namespace peerlane::scsi
