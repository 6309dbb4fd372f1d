#include "scsi/vpd.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "scsi/text_field.h"
#include "scsi/vpd_page.h"

namespace peerlane::scsi {
namespace {

constexpr std::uint8_t flag(bool set, std::uint8_t mask) {
  return set ? mask : std::uint8_t{0};
}

// Extended INQUIRY data (SPC-4 table 546), offsets from the body's start.
constexpr std::size_t kExtendedInquiryBytes = 0x3c;
constexpr std::size_t kAttributes = 1;
constexpr std::uint8_t kHeadSup = 0x04;
constexpr std::uint8_t kOrdSup = 0x02;
constexpr std::uint8_t kSimpSup = 0x01;
constexpr std::size_t kCaches = 2;
constexpr std::uint8_t kNvSup = 0x02;
constexpr std::uint8_t kVSup = 0x01;
constexpr std::size_t kClearing = 3;
constexpr std::uint8_t kLuiclr = 0x01;
constexpr std::size_t kMaxSense = 9;

// Mode page policy descriptor (SPC-4 table 554).
constexpr std::size_t kPolicyBytes = 4;
constexpr std::uint8_t kPolicyPageMask = 0x3f;
constexpr std::uint8_t kMlus = 0x80;
constexpr std::uint8_t kPolicyMask = 0x03;

// SCSI port descriptor (SPC-4 table 566): before and after the initiator port's TransportID, of which there is none.
constexpr std::size_t kPortIdentifier = 2;
constexpr std::size_t kInitiatorPortLength = 6;
constexpr std::size_t kPortHeaderBytes = 8;
constexpr std::size_t kTargetPortLength = 2;  // from there on
constexpr std::size_t kTargetPortHeaderBytes = 4;

// Block limits (SBC-4 table 234), offsets from the body's start.
constexpr std::size_t kBlockLimitsBytes = 0x3c;
constexpr std::uint8_t kWsnz = 0x01;
constexpr std::size_t kMaxCompareAndWrite = 1;
constexpr std::size_t kTransferGranularity = 2;
constexpr std::size_t kMaxTransfer = 4;
constexpr std::size_t kOptimalTransfer = 8;
constexpr std::size_t kMaxPrefetch = 12;
constexpr std::size_t kShortBlockLimitsBytes = 12;  // up to SBC-2 the page ended here
constexpr std::size_t kMaxUnmapBlocks = 16;
constexpr std::size_t kMaxUnmapDescriptors = 20;
constexpr std::size_t kUnmapGranularity = 24;
constexpr std::size_t kUnmapAlignment = 28;
constexpr std::uint32_t kUgaValid = 0x80000000;
constexpr std::size_t kMaxWriteSame = 32;
constexpr std::size_t kMaxAtomicTransfer = 40;
constexpr std::size_t kAtomicAlignment = 44;
constexpr std::size_t kAtomicGranularity = 48;

// Block device characteristics (SBC-4 table 231).
constexpr std::size_t kCharacteristicsBytes = 0x3c;
constexpr std::size_t kAfterErase = 3;  // WABEREQ, WACEREQ and the form factor
constexpr unsigned kAfterBlockEraseShift = 6;

// Logical block provisioning (SBC-4 table 239).
constexpr std::size_t kProvisioningBytes = 4;
constexpr std::size_t kProvisioningFlags = 1;
constexpr std::uint8_t kLbpu = 0x80;
constexpr std::uint8_t kLbpws = 0x40;
constexpr std::uint8_t kLbpws10 = 0x20;
constexpr std::uint8_t kLbprz = 0x04;
constexpr std::uint8_t kAncSup = 0x02;
constexpr std::size_t kProvisioningType = 2;
constexpr std::uint8_t kProvisioningTypeMask = 0x07;

/// Writes the designation descriptors up to the first that does not fit; gives their size.
std::size_t put_designators(std::span<const Designator> designators, ByteSpan out) {
  std::size_t size = 0;
  for (const Designator& designator : designators) {
    const std::size_t bytes = put_designator(designator, out.subspan(size));
    if (bytes == 0) break;
    size += bytes;
  }
  return size;
}

std::vector<Designator> get_designators(ByteView rest) {
  std::vector<Designator> designators;
  while (auto designator = get_designator(rest)) {
    rest = rest.subspan(kDesignatorHeaderBytes + designator->bytes.size());
    designators.push_back(std::move(*designator));
  }
  return designators;
}

}  // namespace

std::size_t encode_supported_pages(Peripheral peripheral, std::span<const VpdPage> pages, ByteSpan out) {
  const ByteSpan body = start_page(peripheral, VpdPage::kSupportedPages, pages.size(), out);
  std::ranges::transform(pages, body.begin(), [](VpdPage page) { return static_cast<std::uint8_t>(page); });
  return kVpdHeaderBytes + body.size();
}

std::optional<std::vector<VpdPage>> decode_supported_pages(ByteView page) {
  const auto body = body_of(page, VpdPage::kSupportedPages, 0);
  if (!body) return std::nullopt;
  std::vector<VpdPage> pages;
  pages.reserve(body->size());
  for (const std::uint8_t code : *body) pages.push_back(static_cast<VpdPage>(code));
  return pages;
}

std::size_t encode_unit_serial_number(Peripheral peripheral, std::string_view serial, ByteSpan out) {
  const ByteSpan body = start_page(peripheral, VpdPage::kUnitSerialNumber, serial.size(), out);
  put_text(body, serial);
  return kVpdHeaderBytes + body.size();
}

std::optional<std::string> decode_unit_serial_number(ByteView page) {
  const auto body = body_of(page, VpdPage::kUnitSerialNumber, 0);
  if (!body) return std::nullopt;
  return get_text(*body);
}

std::size_t encode_device_identification(Peripheral peripheral, std::span<const Designator> designators, ByteSpan out) {
  const std::size_t size = put_designators(designators, out.subspan(kVpdHeaderBytes));
  put_vpd_header(peripheral, VpdPage::kDeviceIdentification, size, out);
  return kVpdHeaderBytes + size;
}

std::optional<std::vector<Designator>> decode_device_identification(ByteView page) {
  const auto body = body_of(page, VpdPage::kDeviceIdentification, 0);
  if (!body) return std::nullopt;
  return get_designators(*body);
}

std::size_t encode_extended_inquiry(Peripheral peripheral, const ExtendedInquiry& inquiry, ByteSpan out) {
  const ByteSpan body = start_page(peripheral, VpdPage::kExtendedInquiry, kExtendedInquiryBytes, out);
  body[kAttributes] = static_cast<std::uint8_t>(flag(inquiry.head_of_queue, kHeadSup) | flag(inquiry.ordered, kOrdSup) |
                                                flag(inquiry.simple, kSimpSup));
  body[kCaches] =
      static_cast<std::uint8_t>(flag(inquiry.nonvolatile_cache, kNvSup) | flag(inquiry.volatile_cache, kVSup));
  body[kClearing] = flag(inquiry.luns_changed_once, kLuiclr);
  body[kMaxSense] = inquiry.max_sense_bytes;
  return kVpdHeaderBytes + body.size();
}

std::optional<ExtendedInquiry> decode_extended_inquiry(ByteView page) {
  const auto body = body_of(page, VpdPage::kExtendedInquiry, kMaxSense + 1);
  if (!body) return std::nullopt;
  const ByteView bytes = *body;
  return ExtendedInquiry{
      .head_of_queue = (bytes[kAttributes] & kHeadSup) != 0,
      .ordered = (bytes[kAttributes] & kOrdSup) != 0,
      .simple = (bytes[kAttributes] & kSimpSup) != 0,
      .volatile_cache = (bytes[kCaches] & kVSup) != 0,
      .nonvolatile_cache = (bytes[kCaches] & kNvSup) != 0,
      .luns_changed_once = (bytes[kClearing] & kLuiclr) != 0,
      .max_sense_bytes = bytes[kMaxSense],
  };
}

std::size_t encode_mode_page_policy(Peripheral peripheral, std::span<const ModePagePolicy> policies, ByteSpan out) {
  ByteSpan rest = start_page(peripheral, VpdPage::kModePagePolicy, policies.size() * kPolicyBytes, out);
  for (const ModePagePolicy& policy : policies) {
    rest[0] = policy.page;
    rest[1] = policy.subpage;
    rest[2] = static_cast<std::uint8_t>(flag(policy.several_units, kMlus) | static_cast<unsigned>(policy.policy));
    rest = rest.subspan(kPolicyBytes);
  }
  return kVpdHeaderBytes + policies.size() * kPolicyBytes;
}

std::optional<std::vector<ModePagePolicy>> decode_mode_page_policy(ByteView page) {
  const auto body = body_of(page, VpdPage::kModePagePolicy, 0);
  if (!body) return std::nullopt;
  std::vector<ModePagePolicy> policies;
  for (ByteView rest = *body; rest.size() >= kPolicyBytes; rest = rest.subspan(kPolicyBytes)) {
    policies.push_back({.page = static_cast<std::uint8_t>(rest[0] & kPolicyPageMask),
                        .subpage = rest[1],
                        .several_units = (rest[2] & kMlus) != 0,
                        .policy = static_cast<ModePolicy>(rest[2] & kPolicyMask)});
  }
  return policies;
}

std::size_t encode_scsi_ports(Peripheral peripheral, std::span<const ScsiPort> ports, ByteSpan out) {
  constexpr std::size_t kHeaders = kPortHeaderBytes + kTargetPortHeaderBytes;
  std::size_t size = kVpdHeaderBytes;
  for (const ScsiPort& port : ports) {
    std::size_t wanted = kHeaders;
    for (const Designator& designator : port.designators) wanted += kDesignatorHeaderBytes + designator.bytes.size();
    if (size + wanted > out.size()) break;
    const ByteSpan descriptor = out.subspan(size, wanted);
    std::fill_n(descriptor.begin(), kHeaders, std::uint8_t{0});
    put_be16(descriptor, kPortIdentifier, port.relative_identifier);
    put_be16(descriptor, kPortHeaderBytes + kTargetPortLength, static_cast<std::uint16_t>(wanted - kHeaders));
    put_designators(port.designators, descriptor.subspan(kHeaders));
    size += wanted;
  }
  put_vpd_header(peripheral, VpdPage::kScsiPorts, size - kVpdHeaderBytes, out);
  return size;
}

std::optional<std::vector<ScsiPort>> decode_scsi_ports(ByteView page) {
  const auto body = body_of(page, VpdPage::kScsiPorts, 0);
  if (!body) return std::nullopt;
  std::vector<ScsiPort> ports;
  ByteView rest = *body;
  while (rest.size() >= kPortHeaderBytes) {
    const std::uint16_t identifier = get_be16(rest, kPortIdentifier);
    const std::size_t headers = kPortHeaderBytes + get_be16(rest, kInitiatorPortLength) + kTargetPortHeaderBytes;
    if (headers > rest.size()) break;
    const std::size_t size = get_be16(rest, headers - kTargetPortHeaderBytes + kTargetPortLength);
    if (size > rest.size() - headers) break;
    ports.push_back({identifier, get_designators(rest.subspan(headers, size))});
    rest = rest.subspan(headers + size);
  }
  return ports;
}

std::size_t encode_block_limits(Peripheral peripheral, const BlockLimits& limits, ByteSpan out) {
  const ByteSpan body = start_page(peripheral, VpdPage::kBlockLimits, kBlockLimitsBytes, out);
  body[0] = flag(limits.write_same_non_zero, kWsnz);
  body[kMaxCompareAndWrite] = limits.max_compare_and_write;
  put_be16(body, kTransferGranularity, limits.transfer_granularity);
  put_be32(body, kMaxTransfer, limits.max_transfer);
  put_be32(body, kOptimalTransfer, limits.optimal_transfer);
  put_be32(body, kMaxPrefetch, limits.max_prefetch);
  put_be32(body, kMaxUnmapBlocks, limits.max_unmap_blocks);
  put_be32(body, kMaxUnmapDescriptors, limits.max_unmap_descriptors);
  put_be32(body, kUnmapGranularity, limits.unmap_granularity);
  if (limits.unmap_alignment) put_be32(body, kUnmapAlignment, kUgaValid | *limits.unmap_alignment);
  put_be64(body, kMaxWriteSame, limits.max_write_same);
  put_be32(body, kMaxAtomicTransfer, limits.max_atomic_transfer);
  put_be32(body, kAtomicAlignment, limits.atomic_alignment);
  put_be32(body, kAtomicGranularity, limits.atomic_granularity);
  return kVpdHeaderBytes + body.size();
}

std::optional<BlockLimits> decode_block_limits(ByteView page) {
  const auto short_body = body_of(page, VpdPage::kBlockLimits, kShortBlockLimitsBytes);
  if (!short_body) return std::nullopt;
  std::array<std::uint8_t, kBlockLimitsBytes> all{};
  std::ranges::copy(short_body->first(std::min(short_body->size(), all.size())), all.begin());
  const ByteView body(all);
  BlockLimits limits;
  limits.write_same_non_zero = (body[0] & kWsnz) != 0;
  limits.max_compare_and_write = body[kMaxCompareAndWrite];
  limits.transfer_granularity = get_be16(body, kTransferGranularity);
  limits.max_transfer = get_be32(body, kMaxTransfer);
  limits.optimal_transfer = get_be32(body, kOptimalTransfer);
  limits.max_prefetch = get_be32(body, kMaxPrefetch);
  limits.max_unmap_blocks = get_be32(body, kMaxUnmapBlocks);
  limits.max_unmap_descriptors = get_be32(body, kMaxUnmapDescriptors);
  limits.unmap_granularity = get_be32(body, kUnmapGranularity);
  const std::uint32_t alignment = get_be32(body, kUnmapAlignment);
  if ((alignment & kUgaValid) != 0) limits.unmap_alignment = alignment & ~kUgaValid;
  limits.max_write_same = get_be64(body, kMaxWriteSame);
  limits.max_atomic_transfer = get_be32(body, kMaxAtomicTransfer);
  limits.atomic_alignment = get_be32(body, kAtomicAlignment);
  limits.atomic_granularity = get_be32(body, kAtomicGranularity);
  return limits;
}

std::size_t encode_block_device_characteristics(Peripheral peripheral, const DeviceCharacteristics& characteristics,
                                                ByteSpan out) {
  const ByteSpan body = start_page(peripheral, VpdPage::kBlockDeviceCharacteristics, kCharacteristicsBytes, out);
  put_be16(body, 0, characteristics.rotation_rate);
  body[kAfterErase] =
      static_cast<std::uint8_t>(static_cast<unsigned>(characteristics.after_block_erase) << kAfterBlockEraseShift);
  return kVpdHeaderBytes + body.size();
}

std::optional<DeviceCharacteristics> decode_block_device_characteristics(ByteView page) {
  const auto body = body_of(page, VpdPage::kBlockDeviceCharacteristics, kAfterErase + 1);
  if (!body) return std::nullopt;
  return DeviceCharacteristics{
      .rotation_rate = get_be16(*body, 0),
      .after_block_erase = static_cast<AfterBlockErase>((*body)[kAfterErase] >> kAfterBlockEraseShift),
  };
}

std::size_t encode_logical_block_provisioning(Peripheral peripheral, const LogicalBlockProvisioning& provisioning,
                                              ByteSpan out) {
  const ByteSpan body = start_page(peripheral, VpdPage::kLogicalBlockProvisioning, kProvisioningBytes, out);
  body[kProvisioningFlags] =
      static_cast<std::uint8_t>(flag(provisioning.unmap, kLbpu) | flag(provisioning.write_same_16, kLbpws) |
                                flag(provisioning.write_same_10, kLbpws10) | flag(provisioning.reads_zeroes, kLbprz) |
                                flag(provisioning.anchor, kAncSup));
  body[kProvisioningType] = static_cast<std::uint8_t>(provisioning.type);
  return kVpdHeaderBytes + body.size();
}

std::optional<LogicalBlockProvisioning> decode_logical_block_provisioning(ByteView page) {
  const auto body = body_of(page, VpdPage::kLogicalBlockProvisioning, kProvisioningType + 1);
  if (!body) return std::nullopt;
  const std::uint8_t flags = (*body)[kProvisioningFlags];
  return LogicalBlockProvisioning{
      .unmap = (flags & kLbpu) != 0,
      .write_same_16 = (flags & kLbpws) != 0,
      .write_same_10 = (flags & kLbpws10) != 0,
      .reads_zeroes = (flags & kLbprz) != 0,
      .anchor = (flags & kAncSup) != 0,
      .type = static_cast<ProvisioningType>((*body)[kProvisioningType] & kProvisioningTypeMask),
  };
}

}  // namespace peerlane::scsi
