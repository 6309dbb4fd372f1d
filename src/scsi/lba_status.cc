#include "scsi/lba_status.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

// PARAMETER DATA LENGTH counts what follows it.
constexpr std::size_t kLengthBytes = 4;
constexpr std::size_t kCountOffset = 8;
constexpr std::size_t kStatusOffset = 12;
constexpr std::uint8_t kStatusMask = 0x0f;

}  // namespace

std::size_t encode_lba_status(std::span<const LbaStatus> descriptors, ByteSpan out) {
  const std::size_t size = kLbaStatusHeaderBytes + descriptors.size() * kLbaStatusDescriptorBytes;
  assert(out.size() >= size);
  std::ranges::fill(out.first(size), std::uint8_t{0});
  put_be32(out, 0, static_cast<std::uint32_t>(size - kLengthBytes));
  std::size_t at = kLbaStatusHeaderBytes;
  for (const LbaStatus& descriptor : descriptors) {
    put_be64(out, at, descriptor.lba.value);
    put_be32(out, at + kCountOffset, static_cast<std::uint32_t>(descriptor.count.value));
    out[at + kStatusOffset] = static_cast<std::uint8_t>(descriptor.status);
    at += kLbaStatusDescriptorBytes;
  }
  return size;
}

std::optional<LbaStatus> lba_status_entry(ByteView bytes, std::size_t index) {
  if (bytes.size() < kLbaStatusHeaderBytes) return std::nullopt;
  const std::size_t end = std::min<std::size_t>(bytes.size(), get_be32(bytes, 0) + kLengthBytes);
  const std::size_t at = kLbaStatusHeaderBytes + index * kLbaStatusDescriptorBytes;
  if (at + kLbaStatusDescriptorBytes > end) return std::nullopt;
  LbaStatus descriptor;
  descriptor.lba = {get_be64(bytes, at)};
  descriptor.count = {get_be32(bytes, at + kCountOffset)};
  descriptor.status = static_cast<ProvisioningStatus>(bytes[at + kStatusOffset] & kStatusMask);
  return descriptor;
}

}  // namespace peerlane::scsi
