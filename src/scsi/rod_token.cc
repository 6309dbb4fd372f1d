#include "scsi/rod_token.h"

#include <algorithm>
#include <vector>

namespace peerlane::scsi {
namespace {

constexpr std::size_t kType = 0;
constexpr std::size_t kLength = 6;  // counts what follows it
constexpr std::size_t kHeaderBytes = 8;
constexpr std::size_t kIdentifier = 8;
constexpr std::size_t kCreator = 16;
constexpr std::size_t kBytesHigh = 48;  // a number of 16 bytes
constexpr std::size_t kBytes = 56;
constexpr std::size_t kBlockLength = 96;
constexpr std::size_t kExponents = 101;
constexpr std::uint8_t kPhysicalExponentMask = 0x0f;
constexpr std::size_t kProvisioning = 102;
constexpr std::uint16_t kLbpme = 0x8000;
constexpr std::uint16_t kLbprz = 0x4000;
constexpr std::uint16_t kLowestAlignedMask = 0x3fff;
constexpr std::size_t kTargetDevice = 128;
constexpr std::size_t kTargetDeviceBytes = kDesignatorHeaderBytes + kRodTargetDesignatorBytes;
constexpr std::size_t kTail = 256;

void put_frame(RodType type, ByteSpan out) {
  put_be32(out, kType, static_cast<std::uint32_t>(type));
  put_be16(out, kLength, kRodTokenBytes - kHeaderBytes);
}

}  // namespace

RodTokenBytes encode_rod_token(const RodToken& token) {
  RodTokenBytes bytes{};
  const ByteSpan out(bytes);
  put_frame(token.type, out);
  put_be64(out, kIdentifier, token.identifier);
  std::vector<std::uint8_t> creator;
  if (token.creator) append_cscd(*token.creator, creator);
  if (creator.size() == kCscdBytes) std::ranges::copy(creator, out.subspan(kCreator).begin());
  put_be64(out, kBytes, token.bytes);
  put_be32(out, kBlockLength, token.block_length);
  out[kExponents] = token.physical_exponent & kPhysicalExponentMask;
  put_be16(
      out, kProvisioning,
      static_cast<std::uint16_t>((token.thin ? unsigned{kLbpme} : 0u) | (token.reads_zeroes ? unsigned{kLbprz} : 0u) |
                                 (token.lowest_aligned & unsigned{kLowestAlignedMask})));
  if (token.target_device) put_designator(*token.target_device, out.subspan(kTargetDevice, kTargetDeviceBytes));
  std::ranges::copy(token.tail, out.subspan(kTail).begin());
  return bytes;
}

std::optional<RodToken> decode_rod_token(ByteView bytes) {
  if (bytes.size() < kRodTokenBytes || rod_token_length(bytes) != kRodTokenBytes) return std::nullopt;
  RodToken token;
  token.type = rod_type(bytes);
  if (token.type == RodType::kInternal || token.type == RodType::kBlockZero) return std::nullopt;
  if (get_be64(bytes, kBytesHigh) != 0) return std::nullopt;
  token.identifier = get_be64(bytes, kIdentifier);
  if (auto creator = decode_cscd(bytes.subspan(kCreator, kCscdBytes), kCreator)) token.creator = std::move(*creator);
  token.bytes = get_be64(bytes, kBytes);
  token.block_length = get_be32(bytes, kBlockLength);
  token.physical_exponent = bytes[kExponents] & kPhysicalExponentMask;
  token.thin = (get_be16(bytes, kProvisioning) & kLbpme) != 0;
  token.reads_zeroes = (get_be16(bytes, kProvisioning) & kLbprz) != 0;
  token.lowest_aligned = get_be16(bytes, kProvisioning) & kLowestAlignedMask;
  auto target = get_designator(bytes.subspan(kTargetDevice, kTargetDeviceBytes));
  if (target && !target->bytes.empty()) token.target_device = std::move(*target);
  std::ranges::copy(bytes.subspan(kTail, kRodTokenTailBytes), token.tail.begin());
  return token;
}

std::size_t rod_token_length(ByteView token) {
  return kHeaderBytes + get_be16(token, kLength);
}

RodTokenBytes block_zero_rod_token() {
  RodTokenBytes bytes{};
  put_frame(RodType::kBlockZero, bytes);
  return bytes;
}

}  // namespace peerlane::scsi
