#include "scsi/defect_list.h"

#include <algorithm>

namespace peerlane::scsi {
namespace {

// The list's length follows in what is zero here, and in the longer header the generation code before it: 0, the list
// never changes.
constexpr std::size_t kHeaderBytes10 = 4;
constexpr std::size_t kHeaderBytes12 = 8;

std::size_t encode_header(std::uint8_t lists, std::size_t size, ByteSpan out) {
  std::ranges::fill(out.first(size), std::uint8_t{0});
  out[1] = lists & kDefectListBits;
  return size;
}

}  // namespace

std::size_t encode_no_defects10(std::uint8_t lists, ByteSpan out) {
  return encode_header(lists, kHeaderBytes10, out);
}

std::size_t encode_no_defects12(std::uint8_t lists, ByteSpan out) {
  return encode_header(lists, kHeaderBytes12, out);
}

}  // namespace peerlane::scsi
