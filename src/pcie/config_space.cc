#include "pcie/config_space.h"

namespace peerlane::pcie {
namespace {

// Registers and capabilities (Base Specification §7.5.1, §7.5.3, §7.7.11). Configuration space is little-endian.
constexpr std::size_t kStatus = 0x06;
constexpr unsigned kCapabilitiesList = 1 << 4;
constexpr std::size_t kCapabilitiesPointer = 0x34;
constexpr unsigned kExpressCapability = 0x10;
constexpr std::size_t kExtended = 0x100;
constexpr unsigned kAcsCapability = 0x000d;
constexpr std::size_t kAcsControl = 6;
constexpr std::size_t kUnprivilegedBytes = 128;

// No function has more: a capability has at least four bytes, an extended one eight.
constexpr unsigned kMostCapabilities = 48;
constexpr unsigned kMostExtendedCapabilities = (4096 - kExtended) / 8;

/// Bytes that are not there read as zeroes, which end a chain.
unsigned get8(ByteView bytes, std::size_t at) {
  return at < bytes.size() ? bytes[at] : 0;
}
unsigned get16(ByteView bytes, std::size_t at) {
  return get8(bytes, at) | get8(bytes, at + 1) << 8;
}
std::uint32_t get32(ByteView bytes, std::size_t at) {
  return get16(bytes, at) | get16(bytes, at + 2) << 16;
}

std::optional<Role> role_of(unsigned port_type) {
  switch (port_type) {
    case 0x4:
      return Role::kRootPort;
    case 0x5:
      return Role::kUpstreamPort;
    case 0x6:
      return Role::kDownstreamPort;
    case 0x7:
    case 0x8:
      return Role::kBridge;
    default:
      return Role::kEndpoint;
  }
}

std::optional<Role> find_role(ByteView bytes) {
  if ((get16(bytes, kStatus) & kCapabilitiesList) == 0) return std::nullopt;
  std::size_t at = get8(bytes, kCapabilitiesPointer) & 0xfcu;
  for (unsigned i = 0; at >= 0x40 && i < kMostCapabilities; ++i) {
    if (get8(bytes, at) == kExpressCapability) return role_of(get16(bytes, at + 2) >> 4 & 0xf);
    at = get8(bytes, at + 1) & 0xfcu;
  }
  return std::nullopt;
}

Acs find_acs(ByteView bytes) {
  if (bytes.size() <= kUnprivilegedBytes) return {};
  std::size_t at = kExtended;
  for (unsigned i = 0; at >= kExtended && i < kMostExtendedCapabilities; ++i) {
    const std::uint32_t header = get32(bytes, at);
    if (header == 0 || header == 0xffffffff) break;
    if ((header & 0xffff) == kAcsCapability) {
      return {Acs::State::kPresent, static_cast<std::uint16_t>(get16(bytes, at + kAcsControl))};
    }
    at = header >> 20 & 0xffc;
  }
  return {Acs::State::kAbsent, 0};
}

}  // namespace

ConfigSpace decode_config_space(ByteView bytes) {
  return {find_role(bytes), find_acs(bytes)};
}

}  // namespace peerlane::pcie
