// Standard INQUIRY data (SPC-4 §6.6.2).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace peerlane::scsi {

/// PERIPHERAL QUALIFIER (SPC-4 table 146).
enum class PeripheralQualifier : std::uint8_t {
  kConnected = 0,     // there is a logical unit
  kNotConnected = 1,  // there could be one
  kNotCapable = 3,    // there is none and cannot be one
};

/// PERIPHERAL DEVICE TYPE (SPC-4 table 147), as far as it matters here.
enum class DeviceType : std::uint8_t { kDirectAccess = 0x00, kWellKnown = 0x1e, kUnknown = 0x1f };

/// The first byte of INQUIRY data and of each VPD page.
struct Peripheral {
  PeripheralQualifier qualifier = PeripheralQualifier::kConnected;
  DeviceType type = DeviceType::kDirectAccess;

  friend bool operator==(const Peripheral&, const Peripheral&) = default;
};

inline constexpr Peripheral kNoLogicalUnit{PeripheralQualifier::kNotCapable, DeviceType::kUnknown};

std::uint8_t encode_peripheral(Peripheral peripheral);
Peripheral decode_peripheral(std::uint8_t byte);

/// VERSION: SPC-4.
inline constexpr std::uint8_t kVersionSpc4 = 0x06;

/// Version descriptors (SPC-4 annex E), no version claimed.
inline constexpr std::uint16_t kStandardSam5 = 0x00a0;
inline constexpr std::uint16_t kStandardSpc4 = 0x0460;
inline constexpr std::uint16_t kStandardSbc3 = 0x04c0;
inline constexpr std::uint16_t kStandardIscsi = 0x0960;

struct StandardInquiry {
  Peripheral peripheral;
  bool removable = false;  // RMB
  std::uint8_t version = kVersionSpc4;
  bool normal_aca = false;                   // NORMACA: NACA in the control byte is obeyed
  bool hierarchical_luns = false;            // HISUP: LUNs are as in SAM-5 §4.7
  std::uint8_t target_port_groups = 0;       // TPGS: 0 none, 1 implicit, 2 explicit, 3 both
  bool third_party_copy = false;             // 3PC
  bool multiple_ports = false;               // MULTIP
  bool command_queuing = false;              // CMDQUE
  std::string vendor;                        // 8 characters
  std::string product;                       // 16 characters
  std::string revision;                      // 4 characters
  std::array<std::uint16_t, 8> standards{};  // version descriptors; 0: none

  friend bool operator==(const StandardInquiry&, const StandardInquiry&) = default;
};

inline constexpr std::size_t kStandardInquiryBytes = 96;

/// Writes kStandardInquiryBytes to `out` and returns that number.
std::size_t encode_inquiry(const StandardInquiry& inquiry, ByteSpan out);

/// Reads standard INQUIRY data of any standard's length; what the device did not send is empty. Nothing below 5 bytes.
std::optional<StandardInquiry> decode_inquiry(ByteView bytes);

}  // namespace peerlane::scsi
