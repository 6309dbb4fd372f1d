// INQUIRY (SPC-4 §6.6): standard data and the vital product data pages, each a row of a table.

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/limits.h"
#include "scsi/disk_place.h"
#include "scsi/inquiry.h"
#include "scsi/sense_codes.h"
#include "scsi/vpd.h"
#include "target/commands.h"
#include "target/copy_manager.h"

namespace peerlane::target {
namespace {

constexpr std::string_view kVendor = "PEERLANE";
constexpr std::string_view kRevision = "0100";

constexpr scsi::Peripheral kDisk{};

constexpr std::uint8_t kEvpd = 0x01;
constexpr std::size_t kPageCode = 2;

Answer standard_inquiry(const CommandContext& context, ByteSpan out) {
  constexpr std::uint8_t kImplicitAndExplicit = 3;
  scsi::StandardInquiry data;
  data.normal_aca = true;
  data.third_party_copy = context.nexus.view().copies() != nullptr;
  data.hierarchical_luns = true;
  data.target_port_groups = kImplicitAndExplicit;
  data.multiple_ports = context.unit.port_groups().size() > 1;
  data.command_queuing = true;
  data.vendor = kVendor;
  data.product = context.unit.identity().product;
  data.revision = kRevision;
  data.standards = {scsi::kStandardSam5, scsi::kStandardIscsi, scsi::kStandardSpc4, scsi::kStandardSbc3};
  return scsi::encode_inquiry(data, out);
}

// --- Vital product data ---

std::size_t supported_pages(const CommandContext& context, ByteSpan out);

std::size_t unit_serial_number(const CommandContext& context, ByteSpan out) {
  return scsi::encode_unit_serial_number(kDisk, context.unit.identity().serial, out);
}

/// RFC 7143 §4.2.7.3: the target port is the target's name with its portal group.
scsi::Designator port_name(const UnitIdentity& identity, std::uint16_t portal_group) {
  return scsi::scsi_name_designator(scsi::Association::kTargetPort,
                                    fmt::format("{},t,0x{:04x}", identity.target_name, portal_group));
}

std::size_t device_identification(const CommandContext& context, ByteSpan out) {
  const UnitIdentity& identity = context.unit.identity();
  const std::uint16_t portal_group = context.nexus.view().name().portal_group;
  auto [naa, vendor] = unit_designators(identity);
  const std::array designators{
      std::move(naa),
      std::move(vendor),
      scsi::relative_target_port_designator(portal_group),
      scsi::target_port_group_designator(portal_group),
      port_name(identity, portal_group),
      scsi::scsi_name_designator(scsi::Association::kTargetDevice, identity.target_name),
  };
  return scsi::encode_device_identification(kDisk, designators, out);
}

std::size_t extended_inquiry(const CommandContext& context, ByteSpan out) {
  scsi::ExtendedInquiry page;
  page.head_of_queue = true;
  page.ordered = true;
  page.simple = true;
  page.volatile_cache = context.unit.capabilities().volatile_cache;
  page.luns_changed_once = true;
  page.max_sense_bytes = scsi::kMaxSenseBytes;
  return scsi::encode_extended_inquiry(kDisk, page, out);
}

std::size_t mode_page_policy(const CommandContext&, ByteSpan out) {
  return scsi::encode_mode_page_policy(kDisk, std::array{scsi::ModePagePolicy{}}, out);
}

std::size_t scsi_ports(const CommandContext& context, ByteSpan out) {
  std::vector<scsi::ScsiPort> ports;
  for (const std::uint16_t tag : context.unit.port_groups().tags()) {
    ports.push_back({tag, {port_name(context.unit.identity(), tag)}});
  }
  return scsi::encode_scsi_ports(kDisk, ports, out);
}

std::size_t block_limits(const CommandContext& context, ByteSpan out) {
  const LogicalUnit& unit = context.unit;
  const auto blocks = [&unit](std::uint64_t bytes) { return static_cast<std::uint32_t>(bytes / unit.block_size()); };
  scsi::BlockLimits page;
  page.transfer_granularity =
      static_cast<std::uint16_t>(blocks(std::max(unit.physical_block_size(), unit.capabilities().unmap_granularity)));
  page.max_transfer = blocks(limits::kMaxTransferBytes);
  page.optimal_transfer = blocks(limits::kOptimalTransferBytes);
  page.max_write_same = blocks(limits::kMaxWriteSameBytes);
  page.max_compare_and_write = static_cast<std::uint8_t>(std::min(blocks(limits::kMaxCompareBytes), 255u));
  // Neither alignment nor granularity restrict atomic writes.
  if (unit.capabilities().atomic_write) page.max_atomic_transfer = blocks(limits::kMaxAtomicBytes);
  if (unit.capabilities().unmap) {
    page.max_unmap_blocks = std::min(blocks(limits::kMaxUnmapBytes), limits::kMaxUnmapBlocks);
    page.max_unmap_descriptors = limits::kMaxUnmapDescriptors;
    // A granularity of one block says nothing; with blocks of 4096 bytes QEMU 7.2 ends in an assertion when it sees
    // one.
    if (blocks(unit.capabilities().unmap_granularity) > 1) {
      page.unmap_granularity = blocks(unit.capabilities().unmap_granularity);
      page.unmap_alignment = 0;
    }
  }
  return scsi::encode_block_limits(kDisk, page, out);
}

std::size_t block_device_characteristics(const CommandContext& context, ByteSpan out) {
  scsi::DeviceCharacteristics page;
  if (context.unit.capabilities().unmap) page.after_block_erase = scsi::AfterBlockErase::kReads;
  return scsi::encode_block_device_characteristics(kDisk, page, out);
}

std::size_t logical_block_provisioning(const CommandContext& context, ByteSpan out) {
  const bool unmap = context.unit.capabilities().unmap;
  scsi::LogicalBlockProvisioning page;
  page.unmap = unmap;
  page.write_same_16 = unmap;
  page.write_same_10 = unmap;
  page.reads_zeroes = unmap;
  page.type = unmap ? scsi::ProvisioningType::kThin : scsi::ProvisioningType::kFull;
  return scsi::encode_logical_block_provisioning(kDisk, page, out);
}

std::size_t third_party_copy(const CommandContext& context, ByteSpan out) {
  const bool remote_tokens = context.nexus.view().copy_settings().peers != nullptr;
  return scsi::encode_third_party_copy(kDisk, CopyManager::page(context.unit.block_size(), remote_tokens), out);
}

std::size_t disk_place(const CommandContext& context, ByteSpan out) {
  const LogicalUnit& unit = context.unit;
  const scsi::DiskPlace place{.identity = unit.part()->identity,
                              .offset = unit.part()->offset,
                              .length = unit.capacity().value * unit.block_size()};
  return scsi::encode_disk_place(kDisk, place, out);
}

bool has_disk_place(const LogicalUnit& unit) {
  return unit.part().has_value();
}

struct PageRow {
  scsi::VpdPage page;
  std::size_t (*encode)(const CommandContext& context, ByteSpan out);
  bool (*is_stated)(const LogicalUnit& unit) = nullptr;  // null: always

  bool is_there(const LogicalUnit& unit) const { return is_stated == nullptr || is_stated(unit); }
};

constexpr std::array kPages{
    PageRow{scsi::VpdPage::kSupportedPages, supported_pages},
    PageRow{scsi::VpdPage::kUnitSerialNumber, unit_serial_number},
    PageRow{scsi::VpdPage::kDeviceIdentification, device_identification},
    PageRow{scsi::VpdPage::kExtendedInquiry, extended_inquiry},
    PageRow{scsi::VpdPage::kModePagePolicy, mode_page_policy},
    PageRow{scsi::VpdPage::kScsiPorts, scsi_ports},
    PageRow{scsi::VpdPage::kThirdPartyCopy, third_party_copy},
    PageRow{scsi::VpdPage::kBlockLimits, block_limits},
    PageRow{scsi::VpdPage::kBlockDeviceCharacteristics, block_device_characteristics},
    PageRow{scsi::VpdPage::kLogicalBlockProvisioning, logical_block_provisioning},
    PageRow{scsi::VpdPage::kDiskPlace, disk_place, has_disk_place},
};

static_assert(kAnswerBytes >= scsi::kMaxVpdBytes);

std::size_t supported_pages(const CommandContext& context, ByteSpan out) {
  std::array<scsi::VpdPage, kPages.size()> pages{};
  std::size_t count = 0;
  for (const PageRow& row : kPages) {
    if (row.is_there(context.unit)) pages[count++] = row.page;
  }
  return scsi::encode_supported_pages(kDisk, std::span(pages).first(count), out);
}

}  // namespace

std::array<scsi::Designator, 2> unit_designators(const UnitIdentity& identity) {
  return {scsi::naa_designator(identity.naa), scsi::t10_vendor_designator(kVendor, identity.serial)};
}

Answer inquiry(const CommandContext& context, ByteSpan out) {
  const ByteView cdb = context.cdb();
  if ((cdb[1] & kEvpd) != 0) {
    for (const PageRow& row : kPages) {
      const bool asked = cdb[kPageCode] == static_cast<std::uint8_t>(row.page) && row.is_there(context.unit);
      if (asked) return row.encode(context, out);
    }
    return std::unexpected(scsi::invalid_field_in_cdb(kPageCode));
  }
  if (cdb[kPageCode] != 0) return std::unexpected(scsi::invalid_field_in_cdb(kPageCode));
  return standard_inquiry(context, out);
}

Answer inquiry_of_well_known_unit(const std::string& target_name, ByteView cdb, ByteSpan out) {
  constexpr scsi::Peripheral kPeripheral{scsi::PeripheralQualifier::kConnected, scsi::DeviceType::kWellKnown};
  if ((cdb[1] & kEvpd) != 0) {
    constexpr std::array kWellKnownPages{scsi::VpdPage::kSupportedPages, scsi::VpdPage::kDeviceIdentification};
    switch (static_cast<scsi::VpdPage>(cdb[kPageCode])) {
      case scsi::VpdPage::kSupportedPages:
        return scsi::encode_supported_pages(kPeripheral, kWellKnownPages, out);
      case scsi::VpdPage::kDeviceIdentification:
        return scsi::encode_device_identification(
            kPeripheral, std::array{scsi::scsi_name_designator(scsi::Association::kTargetDevice, target_name)}, out);
      default:
        return std::unexpected(scsi::invalid_field_in_cdb(kPageCode));
    }
  }
  if (cdb[kPageCode] != 0) return std::unexpected(scsi::invalid_field_in_cdb(kPageCode));
  scsi::StandardInquiry data;
  data.peripheral = kPeripheral;
  data.hierarchical_luns = true;
  data.command_queuing = true;
  data.vendor = kVendor;
  data.revision = kRevision;
  data.standards = {scsi::kStandardSam5, scsi::kStandardIscsi, scsi::kStandardSpc4};
  return scsi::encode_inquiry(data, out);
}

Answer inquiry_without_unit(ByteView cdb, ByteSpan out) {
  if (cdb[kPageCode] != 0) return std::unexpected(scsi::invalid_field_in_cdb(kPageCode));
  if ((cdb[1] & kEvpd) != 0) {
    return scsi::encode_supported_pages(scsi::kNoLogicalUnit, std::array{scsi::VpdPage::kSupportedPages}, out);
  }
  scsi::StandardInquiry data;
  data.peripheral = scsi::kNoLogicalUnit;
  data.hierarchical_luns = true;
  data.vendor = kVendor;
  data.revision = kRevision;
  return scsi::encode_inquiry(data, out);
}

}  // namespace peerlane::target
