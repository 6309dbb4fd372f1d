// Vital product data pages (SPC-4 §7.8, SBC-4 §6.6): what INQUIRY with EVPD tells.
//
// Encoders write a page with its header to `out`, which has at least kMaxVpdBytes, and return its size. Decoders take a
// whole page, possibly cut short or longer than this code knows, and give nothing if it is not that page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "scsi/inquiry.h"

namespace peerlane::scsi {

enum class VpdPage : std::uint8_t {
  kSupportedPages = 0x00,
  kUnitSerialNumber = 0x80,
  kDeviceIdentification = 0x83,
  kExtendedInquiry = 0x86,
  kModePagePolicy = 0x87,
  kScsiPorts = 0x88,
  kBlockLimits = 0xb0,
  kBlockDeviceCharacteristics = 0xb1,
  kLogicalBlockProvisioning = 0xb2,
};

inline constexpr std::size_t kVpdHeaderBytes = 4;
inline constexpr std::size_t kMaxVpdBytes = 2048;

// --- 00h: supported VPD pages (SPC-4 §7.8.16) ---

/// `pages` in ascending order, with 00h.
std::size_t encode_supported_pages(Peripheral peripheral, std::span<const VpdPage> pages, ByteSpan out);
std::optional<std::vector<VpdPage>> decode_supported_pages(ByteView page);

// --- 80h: unit serial number (SPC-4 §7.8.18) ---

std::size_t encode_unit_serial_number(Peripheral peripheral, std::string_view serial, ByteSpan out);
std::optional<std::string> decode_unit_serial_number(ByteView page);

// --- 83h: device identification (SPC-4 §7.8.6) ---

/// ASSOCIATION.
enum class Association : std::uint8_t { kLogicalUnit = 0, kTargetPort = 1, kTargetDevice = 2 };

/// DESIGNATOR TYPE.
enum class DesignatorType : std::uint8_t {
  kVendorSpecific = 0,
  kT10VendorId = 1,
  kEui64 = 2,
  kNaa = 3,
  kRelativeTargetPort = 4,
  kTargetPortGroup = 5,
  kLogicalUnitGroup = 6,
  kMd5 = 7,
  kScsiNameString = 8,
};

/// CODE SET.
enum class CodeSet : std::uint8_t { kBinary = 1, kAscii = 2, kUtf8 = 3 };

/// PROTOCOL IDENTIFIER of iSCSI (SPC-4 table 477).
inline constexpr std::uint8_t kProtocolIscsi = 5;

/// One designation descriptor. The designator is what its type says, already in its wire form: make one with the
/// functions below, which also set the code set that the standard demands.
struct Designator {
  Association association = Association::kLogicalUnit;
  DesignatorType type = DesignatorType::kVendorSpecific;
  CodeSet code_set = CodeSet::kBinary;
  std::optional<std::uint8_t> protocol = {};  // PROTOCOL IDENTIFIER, valid (PIV) with target ports and devices
  std::vector<std::uint8_t> bytes = {};       // at most 255

  friend bool operator==(const Designator&, const Designator&) = default;
};

/// T10 VENDOR IDENTIFICATION (8 characters) and what the vendor appends to it (§7.8.6.4).
Designator t10_vendor_designator(std::string_view vendor, std::string_view specific);
/// EUI-64 in its form of 8 bytes (§7.8.6.5.2).
Designator eui64_designator(std::uint64_t eui);
/// NAA in a form of 8 bytes: the NAA field is in the highest four bits (§7.8.6.6).
Designator naa_designator(std::uint64_t naa);
/// An NAA 3h (locally assigned) identifier with the lower 60 bits of `value` (§7.8.6.6.4).
constexpr std::uint64_t locally_assigned_naa(std::uint64_t value) {
  return std::uint64_t{3} << 60 | (value & ~std::uint64_t{0} >> 4);
}
/// The identifier of the target port, relative to the device's other ports (§7.8.6.7); never 0.
Designator relative_target_port_designator(std::uint16_t port);
/// The target port group of the target port (§7.8.6.8).
Designator target_port_group_designator(std::uint16_t group);
/// A SCSI name string (§7.8.6.11); for iSCSI the names of RFC 7143 §4.2.7. NUL-terminated and padded to four bytes.
Designator scsi_name_designator(Association association, std::string_view name);

/// Writes the descriptors up to the first that does not fit.
std::size_t encode_device_identification(Peripheral peripheral, std::span<const Designator> designators, ByteSpan out);
std::optional<std::vector<Designator>> decode_device_identification(ByteView page);

// --- 86h: extended INQUIRY data (SPC-4 §7.8.7) ---

struct ExtendedInquiry {
  bool head_of_queue = false;  // HEADSUP, ORDSUP, SIMPSUP: the task attributes that are obeyed
  bool ordered = false;
  bool simple = false;
  bool volatile_cache = false;       // V_SUP
  bool nonvolatile_cache = false;    // NV_SUP
  bool luns_changed_once = false;    // LUICLR: REPORTED LUNS DATA HAS CHANGED is cleared in all logical units at once
  std::uint8_t max_sense_bytes = 0;  // MAXIMUM SUPPORTED SENSE DATA LENGTH

  friend bool operator==(const ExtendedInquiry&, const ExtendedInquiry&) = default;
};

std::size_t encode_extended_inquiry(Peripheral peripheral, const ExtendedInquiry& inquiry, ByteSpan out);
std::optional<ExtendedInquiry> decode_extended_inquiry(ByteView page);

// --- 87h: mode page policy (SPC-4 §7.8.10) ---

/// MODE PAGE POLICY: for whom there is a copy of a mode page.
enum class ModePolicy : std::uint8_t { kShared = 0, kPerTargetPort = 1, kPerNexus = 3 };

/// The policy of one page, or of all (page 3Fh, subpage FFh).
struct ModePagePolicy {
  std::uint8_t page = 0x3f;
  std::uint8_t subpage = 0xff;
  bool several_units = false;  // MLUS: shared with other logical units
  ModePolicy policy = ModePolicy::kShared;

  friend bool operator==(const ModePagePolicy&, const ModePagePolicy&) = default;
};

std::size_t encode_mode_page_policy(Peripheral peripheral, std::span<const ModePagePolicy> policies, ByteSpan out);
std::optional<std::vector<ModePagePolicy>> decode_mode_page_policy(ByteView page);

// --- 88h: SCSI ports (SPC-4 §7.8.15) ---

struct ScsiPort {
  std::uint16_t relative_identifier = 0;
  std::vector<Designator> designators;  // of the target port

  friend bool operator==(const ScsiPort&, const ScsiPort&) = default;
};

/// Writes the ports up to the first that does not fit.
std::size_t encode_scsi_ports(Peripheral peripheral, std::span<const ScsiPort> ports, ByteSpan out);
std::optional<std::vector<ScsiPort>> decode_scsi_ports(ByteView page);

// --- B0h: block limits (SBC-4 §6.6.4) ---

/// Lengths are logical blocks; 0 where the device states none.
struct BlockLimits {
  bool write_same_non_zero = false;  // WSNZ: WRITE SAME of 0 blocks is refused
  std::uint8_t max_compare_and_write = 0;
  std::uint16_t transfer_granularity = 0;  // OPTIMAL TRANSFER LENGTH GRANULARITY
  std::uint32_t max_transfer = 0;
  std::uint32_t optimal_transfer = 0;
  std::uint32_t max_prefetch = 0;
  std::uint32_t max_unmap_blocks = 0;  // MAXIMUM UNMAP LBA COUNT
  std::uint32_t max_unmap_descriptors = 0;
  std::uint32_t unmap_granularity = 0;                // OPTIMAL UNMAP GRANULARITY
  std::optional<std::uint32_t> unmap_alignment = {};  // UNMAP GRANULARITY ALIGNMENT, valid with UGAVALID
  std::uint64_t max_write_same = 0;
  std::uint32_t max_atomic_transfer = 0;  // MAXIMUM ATOMIC TRANSFER LENGTH
  std::uint32_t atomic_alignment = 0;
  std::uint32_t atomic_granularity = 0;  // ATOMIC TRANSFER LENGTH GRANULARITY

  friend bool operator==(const BlockLimits&, const BlockLimits&) = default;
};

std::size_t encode_block_limits(Peripheral peripheral, const BlockLimits& limits, ByteSpan out);
std::optional<BlockLimits> decode_block_limits(ByteView page);

// --- B1h: block device characteristics (SBC-4 §6.6.3) ---

inline constexpr std::uint16_t kNonRotating = 0x0001;

/// WABEREQ: what a read of a block meets that was erased by SANITIZE and not written since.
enum class AfterBlockErase : std::uint8_t {
  kNotSpecified = 0,
  kReads = 1,  // data, without an error
  kMediumError = 2,
  kWriteRequired = 3,
};

struct DeviceCharacteristics {
  std::uint16_t rotation_rate = kNonRotating;  // 0: not reported, 1: not a rotating medium, else revolutions per minute
  AfterBlockErase after_block_erase = AfterBlockErase::kNotSpecified;

  friend bool operator==(const DeviceCharacteristics&, const DeviceCharacteristics&) = default;
};

std::size_t encode_block_device_characteristics(Peripheral peripheral, const DeviceCharacteristics& characteristics,
                                                ByteSpan out);
std::optional<DeviceCharacteristics> decode_block_device_characteristics(ByteView page);

// --- B2h: logical block provisioning (SBC-4 §6.6.6) ---

/// PROVISIONING TYPE.
enum class ProvisioningType : std::uint8_t { kFull = 0, kResource = 1, kThin = 2 };

struct LogicalBlockProvisioning {
  bool unmap = false;          // LBPU: the UNMAP command
  bool write_same_16 = false;  // LBPWS: UNMAP bit of WRITE SAME(16)
  bool write_same_10 = false;  // LBPWS10: UNMAP bit of WRITE SAME(10)
  bool reads_zeroes = false;   // LBPRZ 001b: unmapped blocks read as zeroes
  bool anchor = false;         // ANC_SUP
  ProvisioningType type = ProvisioningType::kFull;

  friend bool operator==(const LogicalBlockProvisioning&, const LogicalBlockProvisioning&) = default;
};

std::size_t encode_logical_block_provisioning(Peripheral peripheral, const LogicalBlockProvisioning& provisioning,
                                              ByteSpan out);
std::optional<LogicalBlockProvisioning> decode_logical_block_provisioning(ByteView page);

}  // namespace peerlane::scsi
