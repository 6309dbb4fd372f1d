#include "scsi/timestamp.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

constexpr std::size_t kOrigin = 2;
constexpr std::uint8_t kOriginMask = 0x07;
constexpr std::size_t kTime = 4;  // also in the parameter list

}  // namespace

std::size_t encode_timestamp(const Timestamp& timestamp, ByteSpan out) {
  assert(out.size() >= kTimestampBytes);
  std::fill_n(out.begin(), kTimestampBytes, std::uint8_t{0});
  put_be16(out, 0, kTimestampBytes - sizeof(std::uint16_t));
  out[kOrigin] = static_cast<std::uint8_t>(timestamp.origin);
  put_be48(out, kTime, timestamp.milliseconds);
  return kTimestampBytes;
}

std::optional<Timestamp> decode_timestamp(ByteView bytes) {
  if (bytes.size() < kTimestampBytes) return std::nullopt;
  return Timestamp{get_be48(bytes, kTime), static_cast<TimestampOrigin>(bytes[kOrigin] & kOriginMask)};
}

std::uint64_t decode_set_timestamp(ByteView list) {
  return get_be48(list, kTime);
}

}  // namespace peerlane::scsi
