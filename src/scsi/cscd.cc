#include "scsi/cscd.h"

#include <algorithm>

#include "scsi/sense_codes.h"

namespace peerlane::scsi {
namespace {

// What all descriptors begin and end with.
constexpr std::size_t kTypeAndFlags = 1;
constexpr unsigned kLuIdTypeShift = 6;
constexpr std::uint8_t kLuIdTypeBit = 7;
constexpr std::uint8_t kNul = 0x20;
constexpr std::uint8_t kPeripheralTypeMask = 0x1f;
constexpr std::size_t kRelativePort = 2;
constexpr std::size_t kDeviceParameters = 28;
constexpr std::uint8_t kPad = 0x04;
constexpr std::size_t kBlockLength = 29;
constexpr std::uint32_t kMostBlockLength = 0xffffff;

// Identification: a designation descriptor without its protocol.
constexpr std::size_t kDesignator = 4;
constexpr std::size_t kDesignatorLength = 7;

// IPv4, and IPv6, which has port and protocol in its extension.
constexpr std::size_t kLun = 4;
constexpr std::size_t kIpv4Address = 12;
constexpr std::size_t kIpv4AddressBytes = 4;
constexpr std::size_t kIpv4Port = 22;
constexpr std::size_t kIpv4Protocol = 26;
constexpr std::size_t kIpv6Address = 12;

// IP copy service. Its extension begins as that of IPv6.
constexpr std::size_t kIpType = 2;
constexpr std::uint8_t kIpTypeIpv6 = 0x01;
constexpr std::size_t kServiceAddress = 12;
constexpr std::size_t kExtensionPort = 4;
constexpr std::size_t kExtensionProtocol = 6;
constexpr std::size_t kExtensionDesignator = 8;
constexpr std::size_t kExtensionDesignatorLength = 11;

// ROD.
constexpr std::size_t kRodProducer = 4;
constexpr std::size_t kRodType = 8;
constexpr std::size_t kRodLifetime = 12;
constexpr std::size_t kRodInactivity = 16;
constexpr std::size_t kRodRemote = 22;
constexpr std::uint8_t kRemoteToken = 0x01;
constexpr std::size_t kRodDelete = 23;
constexpr std::uint8_t kDeleteToken = 0x01;
constexpr std::size_t kRodTokenOffset = 24;

constexpr bool has_extension(std::uint8_t type) {
  return type == kIpv6Cscd || type == kIpCopyServiceCscd;
}

Designator fit_to_cscd(Designator designator) {
  designator.protocol.reset();
  if (designator.bytes.size() > kMostCscdDesignatorBytes) designator.bytes.resize(kMostCscdDesignatorBytes);
  return designator;
}

Designator read_designator(ByteView bytes) {
  return fit_to_cscd(get_designator(bytes.first(kDesignatorHeaderBytes + kMostCscdDesignatorBytes)).value());
}

// --- Each kind: what its descriptor and the extension say. The lengths of designators have been checked. ---

RemoteLun read_ipv4(ByteView bytes) {
  RemoteLun remote;
  remote.lun = get_be64(bytes, kLun);
  std::ranges::copy(bytes.subspan(kIpv4Address, kIpv4AddressBytes), remote.target.address.begin());
  remote.target.port = get_be16(bytes, kIpv4Port);
  remote.target.protocol = get_be16(bytes, kIpv4Protocol);
  return remote;
}

RemoteLun read_ipv6(ByteView bytes, ByteView extension) {
  RemoteLun remote;
  remote.lun = get_be64(bytes, kLun);
  remote.target.ipv6 = true;
  std::ranges::copy(bytes.subspan(kIpv6Address, remote.target.address.size()), remote.target.address.begin());
  remote.target.port = get_be16(extension, kExtensionPort);
  remote.target.protocol = get_be16(extension, kExtensionProtocol);
  return remote;
}

RemoteDesignator read_copy_service(ByteView bytes, ByteView extension) {
  RemoteDesignator remote;
  IpEndpoint& service = remote.service;
  service.ipv6 = (bytes[kIpType] & kIpTypeIpv6) != 0;
  const std::size_t address_bytes = service.ipv6 ? service.address.size() : kIpv4AddressBytes;
  std::ranges::copy(bytes.subspan(kServiceAddress, address_bytes), service.address.begin());
  service.port = get_be16(extension, kExtensionPort);
  service.protocol = get_be16(extension, kExtensionProtocol);
  remote.designator = read_designator(extension.subspan(kExtensionDesignator));
  return remote;
}

RodReference read_rod(ByteView bytes) {
  RodReference rod;
  rod.producer = get_be16(bytes, kRodProducer);
  rod.type = get_be32(bytes, kRodType);
  rod.lifetime = get_be32(bytes, kRodLifetime);
  rod.inactivity_timeout = get_be32(bytes, kRodInactivity);
  rod.remote_token = (bytes[kRodRemote] & kRemoteToken) != 0;
  rod.delete_token = (bytes[kRodDelete] & kDeleteToken) != 0;
  rod.token_offset = get_be32(bytes, kRodTokenOffset);
  return rod;
}

void write(const Designator& designator, ByteSpan out) {
  put_designator(fit_to_cscd(designator), out.subspan(kDesignator));
}

void write(const RemoteLun& remote, ByteSpan out) {
  put_be64(out, kLun, remote.lun);
  if (!remote.target.ipv6) {
    std::ranges::copy_n(remote.target.address.begin(), kIpv4AddressBytes, out.subspan(kIpv4Address).begin());
    put_be16(out, kIpv4Port, remote.target.port);
    put_be16(out, kIpv4Protocol, remote.target.protocol);
    return;
  }
  std::ranges::copy(remote.target.address, out.subspan(kIpv6Address).begin());
  const ByteSpan extension = out.subspan(kCscdBytes);
  put_be16(extension, kExtensionPort, remote.target.port);
  put_be16(extension, kExtensionProtocol, remote.target.protocol);
}

void write(const RemoteDesignator& remote, ByteSpan out) {
  const IpEndpoint& service = remote.service;
  if (service.ipv6) out[kIpType] = kIpTypeIpv6;
  const auto address_bytes = static_cast<std::ptrdiff_t>(service.ipv6 ? service.address.size() : kIpv4AddressBytes);
  std::ranges::copy_n(service.address.begin(), address_bytes, out.subspan(kServiceAddress).begin());
  const ByteSpan extension = out.subspan(kCscdBytes);
  put_be16(extension, kExtensionPort, service.port);
  put_be16(extension, kExtensionProtocol, service.protocol);
  put_designator(fit_to_cscd(remote.designator), extension.subspan(kExtensionDesignator));
}

void write(const RodReference& rod, ByteSpan out) {
  put_be16(out, kRodProducer, rod.producer);
  put_be32(out, kRodType, rod.type);
  put_be32(out, kRodLifetime, rod.lifetime);
  put_be32(out, kRodInactivity, rod.inactivity_timeout);
  if (rod.remote_token) out[kRodRemote] = kRemoteToken;
  if (rod.delete_token) out[kRodDelete] = kDeleteToken;
  put_be32(out, kRodTokenOffset, rod.token_offset);
}

/// What is wrong with a descriptor of a type that is known.
std::optional<Sense> check(ByteView list, std::size_t position) {
  const std::uint8_t type = list[0];
  // Since SPC-4 the field means nothing where a designator names the unit.
  if (type != kIdentificationCscd && list[kTypeAndFlags] >> kLuIdTypeShift != 0) {
    return invalid_field_in_parameter_list(position + kTypeAndFlags, kLuIdTypeBit);
  }
  if (type == kIdentificationCscd && list[kDesignatorLength] > kMostCscdDesignatorBytes) {
    return invalid_field_in_parameter_list(position + kDesignatorLength);
  }
  if (!has_extension(type)) return std::nullopt;
  if (list.size() < 2 * kCscdBytes || list[kCscdBytes] != kCscdExtension) {
    return invalid_field_in_parameter_list(position);
  }
  const std::size_t length = kCscdBytes + kExtensionDesignatorLength;
  if (type == kIpCopyServiceCscd && list[length] > kMostCscdDesignatorBytes) {
    return invalid_field_in_parameter_list(position + length);
  }
  return std::nullopt;
}

Sense unsupported_type(std::size_t position) {
  Sense sense = invalid_field_in_parameter_list(position);
  sense.code = sense_codes::kUnsupportedTargetDescriptor;
  return sense;
}

}  // namespace

const Designator* copy_designator(std::span<const Designator> designators) {
  constexpr std::array kBestFirst{DesignatorType::kNaa, DesignatorType::kEui64, DesignatorType::kScsiNameString,
                                  DesignatorType::kT10VendorId, DesignatorType::kVendorSpecific};
  for (const DesignatorType type : kBestFirst) {
    for (const Designator& designator : designators) {
      if (designator.association != Association::kLogicalUnit || designator.type != type) continue;
      if (!designator.bytes.empty() && designator.bytes.size() <= kMostCscdDesignatorBytes) return &designator;
    }
  }
  return nullptr;
}

bool same_unit(const Designator& in_cscd, const Designator& of_unit) {
  return of_unit.association == Association::kLogicalUnit && fit_to_cscd(of_unit) == in_cscd &&
         of_unit.bytes.size() <= kMostCscdDesignatorBytes;
}

bool is_block_device(std::uint8_t peripheral_type) {
  constexpr std::array<std::uint8_t, 5> kBlockDevices{0x00, 0x04, 0x05, 0x07, 0x0e};
  return std::ranges::find(kBlockDevices, peripheral_type) != kBlockDevices.end();
}

std::uint8_t cscd_type(const Cscd& cscd) {
  struct TypeOf {
    std::uint8_t operator()(const Designator&) const { return kIdentificationCscd; }
    std::uint8_t operator()(const RemoteLun& remote) const { return remote.target.ipv6 ? kIpv6Cscd : kIpv4Cscd; }
    std::uint8_t operator()(const RemoteDesignator&) const { return kIpCopyServiceCscd; }
    std::uint8_t operator()(const RodReference&) const { return kRodCscd; }
  };
  return std::visit(TypeOf{}, cscd.unit);
}

std::size_t cscd_bytes(const Cscd& cscd) {
  return has_extension(cscd_type(cscd)) ? 2 * kCscdBytes : kCscdBytes;
}

void append_cscd(const Cscd& cscd, std::vector<std::uint8_t>& out) {
  const std::size_t at = out.size();
  out.resize(at + cscd_bytes(cscd));
  const ByteSpan bytes = ByteSpan(out).subspan(at);
  bytes[0] = cscd_type(cscd);
  bytes[kTypeAndFlags] = static_cast<std::uint8_t>((cscd.null_device ? kNul : 0u) | cscd.peripheral_type);
  if (bytes[0] != kIpCopyServiceCscd) put_be16(bytes, kRelativePort, cscd.relative_initiator_port);
  if (bytes.size() > kCscdBytes) bytes[kCscdBytes] = kCscdExtension;
  std::visit([&](const auto& unit) { write(unit, bytes); }, cscd.unit);
  if (!is_block_device(cscd.peripheral_type)) return;
  if (cscd.pad) bytes[kDeviceParameters] = kPad;
  put_be24(bytes, kBlockLength, std::min(cscd.block_length, kMostBlockLength));
}

std::expected<Cscd, Sense> decode_cscd(ByteView list, std::size_t position) {
  Cscd cscd;
  const std::uint8_t type = list[0];
  const bool known = type == kIdentificationCscd || type == kIpv4Cscd || type == kRodCscd || has_extension(type);
  if (!known) return std::unexpected(unsupported_type(position));
  if (const auto error = check(list, position)) return std::unexpected(*error);
  const ByteView bytes = list.first(kCscdBytes);
  if (type == kIdentificationCscd) {
    cscd.unit = read_designator(bytes.subspan(kDesignator));
  } else if (type == kIpv4Cscd) {
    cscd.unit = read_ipv4(bytes);
  } else if (type == kRodCscd) {
    cscd.unit = read_rod(bytes);
  } else {
    const ByteView extension = list.subspan(kCscdBytes, kCscdBytes);
    if (type == kIpv6Cscd) {
      cscd.unit = read_ipv6(bytes, extension);
    } else {
      cscd.unit = read_copy_service(bytes, extension);
    }
  }
  cscd.peripheral_type = bytes[kTypeAndFlags] & kPeripheralTypeMask;
  cscd.null_device = (bytes[kTypeAndFlags] & kNul) != 0;
  if (type != kIpCopyServiceCscd) cscd.relative_initiator_port = get_be16(bytes, kRelativePort);
  if (is_block_device(cscd.peripheral_type)) {
    cscd.pad = (bytes[kDeviceParameters] & kPad) != 0;
    cscd.block_length = get_be24(bytes, kBlockLength);
  }
  return cscd;
}

}  // namespace peerlane::scsi
