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
#include "scsi/designator.h"
#include "scsi/inquiry.h"

namespace peerlane::scsi {

enum class VpdPage : std::uint8_t {
  kSupportedPages = 0x00,
  kUnitSerialNumber = 0x80,
  kDeviceIdentification = 0x83,
  kExtendedInquiry = 0x86,
  kModePagePolicy = 0x87,
  kScsiPorts = 0x88,
  kThirdPartyCopy = 0x8f,  // scsi/third_party_copy_page.h
  kBlockLimits = 0xb0,
  kBlockDeviceCharacteristics = 0xb1,
  kLogicalBlockProvisioning = 0xb2,
  kDiskPlace = 0xe8,  // scsi/disk_place.h
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
