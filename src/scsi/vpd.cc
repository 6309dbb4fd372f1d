#include "scsi/vpd.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "scsi/text_field.h"

namespace peerlane::scsi {
namespace {

// The header of every page (SPC-4 table 531).
constexpr std::size_t kPageCode = 1;
constexpr std::size_t kPageLength = 2;

/// Starts a page of `body_bytes` after its header, zeroed, and gives that body.
ByteSpan start_page(Peripheral peripheral, VpdPage page, std::size_t body_bytes, ByteSpan out) {
  assert(out.size() >= kVpdHeaderBytes + body_bytes);
  out[0] = encode_peripheral(peripheral);
  out[kPageCode] = static_cast<std::uint8_t>(page);
  put_be16(out, kPageLength, static_cast<std::uint16_t>(body_bytes));
  const ByteSpan body = out.subspan(kVpdHeaderBytes, body_bytes);
  std::ranges::fill(body, std::uint8_t{0});
  return body;
}

/// The body of a page, as far as it is there; nothing if it is not that page or has less than `least` bytes.
std::optional<ByteView> body_of(ByteView page, VpdPage code, std::size_t least) {
  if (page.size() < kVpdHeaderBytes || page[kPageCode] != static_cast<std::uint8_t>(code)) return std::nullopt;
  const std::size_t size = std::min<std::size_t>(get_be16(page, kPageLength), page.size() - kVpdHeaderBytes);
  if (size < least) return std::nullopt;
  return page.subspan(kVpdHeaderBytes, size);
}

constexpr std::uint8_t flag(bool set, std::uint8_t mask) {
  return set ? mask : std::uint8_t{0};
}

// Designation descriptor (SPC-4 table 544).
constexpr std::size_t kDesignatorHeaderBytes = 4;
constexpr unsigned kProtocolShift = 4;
constexpr std::uint8_t kCodeSetMask = 0x0f;
constexpr std::uint8_t kProtocolValid = 0x80;
constexpr unsigned kAssociationShift = 4;
constexpr std::uint8_t kAssociationMask = 0x03;
constexpr std::uint8_t kDesignatorTypeMask = 0x0f;
constexpr std::size_t kDesignatorLength = 3;
constexpr std::size_t kMostDesignatorBytes = 255;

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

Designator t10_vendor_designator(std::string_view vendor, std::string_view specific) {
  Designator designator{.type = DesignatorType::kT10VendorId, .code_set = CodeSet::kAscii};
  designator.bytes.resize(8 + specific.size());
  put_text(ByteSpan(designator.bytes).first(8), vendor);
  put_text(ByteSpan(designator.bytes).subspan(8), specific);
  return designator;
}

Designator eui64_designator(std::uint64_t eui) {
  Designator designator{.type = DesignatorType::kEui64};
  designator.bytes.resize(8);
  put_be64(designator.bytes, 0, eui);
  return designator;
}

Designator naa_designator(std::uint64_t naa) {
  Designator designator{.type = DesignatorType::kNaa};
  designator.bytes.resize(8);
  put_be64(designator.bytes, 0, naa);
  return designator;
}

Designator relative_target_port_designator(std::uint16_t port) {
  Designator designator{.association = Association::kTargetPort, .type = DesignatorType::kRelativeTargetPort};
  designator.protocol = kProtocolIscsi;
  designator.bytes.resize(4);
  put_be16(designator.bytes, 2, port);
  return designator;
}

Designator target_port_group_designator(std::uint16_t group) {
  Designator designator{.association = Association::kTargetPort, .type = DesignatorType::kTargetPortGroup};
  designator.protocol = kProtocolIscsi;
  designator.bytes.resize(4);
  put_be16(designator.bytes, 2, group);
  return designator;
}

Designator scsi_name_designator(Association association, std::string_view name) {
  Designator designator{
      .association = association, .type = DesignatorType::kScsiNameString, .code_set = CodeSet::kUtf8};
  if (association != Association::kLogicalUnit) designator.protocol = kProtocolIscsi;
  designator.bytes.resize((name.size() / 4 + 1) * 4);
  std::ranges::copy(as_bytes(name), designator.bytes.begin());
  return designator;
}

std::size_t encode_device_identification(Peripheral peripheral, std::span<const Designator> designators, ByteSpan out) {
  std::size_t body_bytes = 0;
  std::size_t count = 0;
  for (const Designator& designator : designators) {
    const std::size_t size = kDesignatorHeaderBytes + designator.bytes.size();
    if (designator.bytes.size() > kMostDesignatorBytes || kVpdHeaderBytes + body_bytes + size > out.size()) break;
    body_bytes += size;
    ++count;
  }
  ByteSpan rest = start_page(peripheral, VpdPage::kDeviceIdentification, body_bytes, out);
  for (const Designator& designator : designators.first(count)) {
    rest[0] = static_cast<std::uint8_t>(unsigned{designator.protocol.value_or(0)} << kProtocolShift |
                                        static_cast<unsigned>(designator.code_set));
    rest[1] = static_cast<std::uint8_t>(flag(designator.protocol.has_value(), kProtocolValid) |
                                        static_cast<unsigned>(designator.association) << kAssociationShift |
                                        static_cast<unsigned>(designator.type));
    rest[kDesignatorLength] = static_cast<std::uint8_t>(designator.bytes.size());
    std::ranges::copy(designator.bytes, rest.subspan(kDesignatorHeaderBytes).begin());
    rest = rest.subspan(kDesignatorHeaderBytes + designator.bytes.size());
  }
  return kVpdHeaderBytes + body_bytes;
}

std::optional<std::vector<Designator>> decode_device_identification(ByteView page) {
  const auto body = body_of(page, VpdPage::kDeviceIdentification, 0);
  if (!body) return std::nullopt;
  std::vector<Designator> designators;
  ByteView rest = *body;
  while (rest.size() >= kDesignatorHeaderBytes) {
    const std::size_t size = kDesignatorHeaderBytes + rest[kDesignatorLength];
    if (size > rest.size()) break;
    Designator designator;
    designator.code_set = static_cast<CodeSet>(rest[0] & kCodeSetMask);
    if ((rest[1] & kProtocolValid) != 0) designator.protocol = static_cast<std::uint8_t>(rest[0] >> kProtocolShift);
    designator.association = static_cast<Association>(rest[1] >> kAssociationShift & kAssociationMask);
    designator.type = static_cast<DesignatorType>(rest[1] & kDesignatorTypeMask);
    const ByteView bytes = rest.subspan(kDesignatorHeaderBytes, size - kDesignatorHeaderBytes);
    designator.bytes.assign(bytes.begin(), bytes.end());
    designators.push_back(std::move(designator));
    rest = rest.subspan(size);
  }
  return designators;
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
