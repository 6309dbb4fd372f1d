#include "scsi/port_groups.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

// Extended header (SPC-4 table 305).
constexpr std::size_t kFormatByte = 4;
constexpr std::uint8_t kFormatMask = 0x70;
constexpr std::uint8_t kExtendedFormat = 0x10;

// Target port group descriptor (SPC-4 table 306).
constexpr std::uint8_t kPreferred = 0x80;
constexpr std::uint8_t kStateMask = 0x0f;
constexpr std::size_t kSupported = 1;
constexpr std::size_t kGroup = 2;
constexpr std::size_t kStatusCode = 5;
constexpr std::size_t kPortCount = 7;
constexpr std::size_t kPortIdentifier = 2;  // in a target port descriptor (table 309)

std::size_t put_group(const TargetPortGroup& group, ByteSpan out) {
  const std::size_t size = kPortGroupBytes + group.ports.size() * kPortGroupPortBytes;
  assert(group.ports.size() <= UINT8_MAX && out.size() >= size);
  std::fill_n(out.begin(), size, std::uint8_t{0});
  out[0] = static_cast<std::uint8_t>((group.preferred ? kPreferred : 0u) | static_cast<unsigned>(group.state));
  out[kSupported] = group.supported;
  put_be16(out, kGroup, group.group);
  out[kStatusCode] = static_cast<std::uint8_t>(group.status);
  out[kPortCount] = static_cast<std::uint8_t>(group.ports.size());
  for (std::size_t i = 0; i < group.ports.size(); ++i) {
    put_be16(out, kPortGroupBytes + i * kPortGroupPortBytes + kPortIdentifier, group.ports[i]);
  }
  return size;
}

}  // namespace

std::size_t encode_port_groups(std::span<const TargetPortGroup> groups, bool extended, ByteSpan out) {
  std::size_t size = extended ? kPortGroupsExtendedHeaderBytes : kPortGroupsHeaderBytes;
  std::fill_n(out.begin(), size, std::uint8_t{0});
  if (extended) out[kFormatByte] = kExtendedFormat;
  for (const TargetPortGroup& group : groups) size += put_group(group, out.subspan(size));
  put_be32(out, 0, static_cast<std::uint32_t>(size - sizeof(std::uint32_t)));
  return size;
}

std::optional<std::vector<TargetPortGroup>> decode_port_groups(ByteView bytes) {
  if (bytes.size() < kPortGroupsHeaderBytes) return std::nullopt;
  ByteView rest = bytes.subspan(kPortGroupsHeaderBytes);
  rest = rest.first(std::min<std::size_t>(rest.size(), get_be32(bytes, 0)));
  // Bits that a descriptor has as zeroes tell that this is an extended header.
  const std::size_t more = kPortGroupsExtendedHeaderBytes - kPortGroupsHeaderBytes;
  if (rest.size() >= more && (bytes[kFormatByte] & kFormatMask) == kExtendedFormat) rest = rest.subspan(more);
  std::vector<TargetPortGroup> groups;
  while (rest.size() >= kPortGroupBytes) {
    const std::size_t count = rest[kPortCount];
    const std::size_t size = kPortGroupBytes + count * kPortGroupPortBytes;
    if (size > rest.size()) break;
    TargetPortGroup group{.preferred = (rest[0] & kPreferred) != 0,
                          .state = static_cast<AccessState>(rest[0] & kStateMask),
                          .supported = rest[kSupported],
                          .group = get_be16(rest, kGroup),
                          .status = static_cast<AccessStatus>(rest[kStatusCode]),
                          .ports = {}};
    for (std::size_t i = 0; i < count; ++i) {
      group.ports.push_back(get_be16(rest, kPortGroupBytes + i * kPortGroupPortBytes + kPortIdentifier));
    }
    groups.push_back(std::move(group));
    rest = rest.subspan(size);
  }
  return groups;
}

std::optional<SetPortGroupsList> SetPortGroupsList::decode(ByteView bytes) {
  if (bytes.size() < kSetPortGroupsHeaderBytes) return std::nullopt;
  const ByteView descriptors = bytes.subspan(kSetPortGroupsHeaderBytes);
  if (descriptors.size() % kSetPortGroupBytes != 0) return std::nullopt;
  return SetPortGroupsList(descriptors);
}

SetTargetPortGroup SetPortGroupsList::operator[](std::size_t index) const {
  const ByteView descriptor = descriptors_.subspan(index * kSetPortGroupBytes, kSetPortGroupBytes);
  return {static_cast<AccessState>(descriptor[0] & kStateMask), get_be16(descriptor, kSetPortGroupField)};
}

std::size_t encode_set_port_groups(std::span<const SetTargetPortGroup> groups, ByteSpan out) {
  const std::size_t size = kSetPortGroupsHeaderBytes + groups.size() * kSetPortGroupBytes;
  assert(out.size() >= size);
  std::fill_n(out.begin(), size, std::uint8_t{0});
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const ByteSpan descriptor = out.subspan(kSetPortGroupsHeaderBytes + i * kSetPortGroupBytes, kSetPortGroupBytes);
    descriptor[0] = static_cast<std::uint8_t>(groups[i].state);
    put_be16(descriptor, kSetPortGroupField, groups[i].group);
  }
  return size;
}

}  // namespace peerlane::scsi
