// Designation descriptors (SPC-4 §7.8.6.1): the names of logical units, target ports and target devices, as the VPD
// pages 83h and 88h have them, and as CSCD descriptors and ROD tokens refer to them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace peerlane::scsi {

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

inline constexpr std::size_t kDesignatorHeaderBytes = 4;
inline constexpr std::size_t kMostDesignatorBytes = 255;

/// Writes the descriptor to `out` and returns its size; 0 if the designator is too long or does not fit.
std::size_t put_designator(const Designator& designator, ByteSpan out);

/// Reads the descriptor at the beginning of `bytes`, which takes kDesignatorHeaderBytes and its designator. Nothing if
/// it is cut off.
std::optional<Designator> get_designator(ByteView bytes);

}  // namespace peerlane::scsi
