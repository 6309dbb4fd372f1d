#include "scsi/unmap.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

// Header (SBC-4 table 126).
constexpr std::size_t kDataLength = 0;  // counts what follows the field itself
constexpr std::size_t kDescriptorsLength = 2;
constexpr std::size_t kDataLengthBytes = 2;

}  // namespace

std::optional<UnmapList> UnmapList::decode(ByteView list) {
  if (list.size() < kUnmapHeaderBytes) return std::nullopt;
  std::size_t end = std::min<std::size_t>(list.size(), kDataLengthBytes + get_be16(list, kDataLength));
  end = std::min<std::size_t>(end, kUnmapHeaderBytes + get_be16(list, kDescriptorsLength));
  const std::size_t bytes = end > kUnmapHeaderBytes ? end - kUnmapHeaderBytes : 0;
  return UnmapList(list.subspan(kUnmapHeaderBytes, bytes - bytes % kUnmapDescriptorBytes));
}

UnmapRange UnmapList::operator[](std::size_t index) const {
  return get_block_range(descriptors_.subspan(index * kUnmapDescriptorBytes, kUnmapDescriptorBytes));
}

std::size_t encode_unmap_list(std::span<const UnmapRange> ranges, ByteSpan out) {
  const std::size_t size = kUnmapHeaderBytes + ranges.size() * kUnmapDescriptorBytes;
  assert(out.size() >= size && size - kDataLengthBytes <= UINT16_MAX);
  put_be16(out, kDataLength, static_cast<std::uint16_t>(size - kDataLengthBytes));
  put_be16(out, kDescriptorsLength, static_cast<std::uint16_t>(size - kUnmapHeaderBytes));
  put_be32(out, 4, 0);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    put_block_range(ranges[i], out.subspan(kUnmapHeaderBytes + i * kUnmapDescriptorBytes, kUnmapDescriptorBytes));
  }
  return size;
}

}  // namespace peerlane::scsi
