// The frame that all vital product data pages share (SPC-4 §7.8.1), for those who encode and decode pages.
#pragma once

#include <cstddef>
#include <optional>

#include "base/bytes.h"
#include "scsi/inquiry.h"
#include "scsi/vpd.h"

namespace peerlane::scsi {

/// Writes the header of a page with `body_bytes` after it.
void put_vpd_header(Peripheral peripheral, VpdPage page, std::size_t body_bytes, ByteSpan out);

/// Starts a page of `body_bytes` after its header, zeroed, and gives that body.
ByteSpan start_page(Peripheral peripheral, VpdPage page, std::size_t body_bytes, ByteSpan out);

/// The body of a page, as far as it is there; nothing if it is not that page or has less than `least` bytes.
std::optional<ByteView> body_of(ByteView page, VpdPage code, std::size_t least);

}  // namespace peerlane::scsi
