#include "scsi/vpd_page.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

// The header of every page (SPC-4 table 531).
constexpr std::size_t kPageCode = 1;
constexpr std::size_t kPageLength = 2;

}  // namespace

void put_vpd_header(Peripheral peripheral, VpdPage page, std::size_t body_bytes, ByteSpan out) {
  out[0] = encode_peripheral(peripheral);
  out[kPageCode] = static_cast<std::uint8_t>(page);
  put_be16(out, kPageLength, static_cast<std::uint16_t>(body_bytes));
}

ByteSpan start_page(Peripheral peripheral, VpdPage page, std::size_t body_bytes, ByteSpan out) {
  assert(out.size() >= kVpdHeaderBytes + body_bytes);
  put_vpd_header(peripheral, page, body_bytes, out);
  const ByteSpan body = out.subspan(kVpdHeaderBytes, body_bytes);
  std::ranges::fill(body, std::uint8_t{0});
  return body;
}

std::optional<ByteView> body_of(ByteView page, VpdPage code, std::size_t least) {
  if (page.size() < kVpdHeaderBytes || page[kPageCode] != static_cast<std::uint8_t>(code)) return std::nullopt;
  const std::size_t size = std::min<std::size_t>(get_be16(page, kPageLength), page.size() - kVpdHeaderBytes);
  if (size < least) return std::nullopt;
  return page.subspan(kVpdHeaderBytes, size);
}

}  // namespace peerlane::scsi
