// Logical unit numbers (SAM-5 §4.7): the eight bytes in which a command names its logical unit, and the list that
// REPORT LUNS gives of them (SPC-4 §6.33).
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"

namespace peerlane::scsi {

/// The number of a logical unit of a target without further levels: 0 to 16383.
struct Lun {
  std::uint16_t value = 0;

  friend constexpr auto operator<=>(Lun, Lun) = default;
};

inline constexpr std::uint16_t kMostLun = 0x3fff;

/// The well known logical unit for REPORT LUNS (SPC-4 §8.2), as an eight-byte field.
inline constexpr std::uint64_t kReportLunsWellKnown = 0xc101'0000'0000'0000;

/// What a LUN field names. Peripheral device addressing (§4.7.7.3) up to 255, flat space addressing (§4.7.7.4) up to
/// 16383 and extended flat space addressing (§4.7.7.6.2) are one and the same logical unit if the numbers are. Nothing
/// for several levels, other buses, well known logical units and all other methods.
std::optional<Lun> decode_lun(std::uint64_t field);

/// The field that names `lun`, in the form in which real initiators expect it: peripheral device addressing below 256,
/// flat space addressing above.
std::uint64_t encode_lun(Lun lun);

/// SELECT REPORT of REPORT LUNS (SPC-4 table 277, SPC-5 table 317).
enum class SelectReport : std::uint8_t {
  kAddressable = 0x00,  // all but well known logical units
  kWellKnown = 0x01,
  kAll = 0x02,
  kAdministrative = 0x10,  // administrative logical units of conglomerates
  kTopLevel = 0x11,        // all but the subsidiaries of conglomerates
  kSubsidiaries = 0x12,    // those of the logical unit addressed
};

inline constexpr std::size_t kLunListHeaderBytes = 8;

/// Writes REPORT LUNS parameter data to `out`, which has kLunListHeaderBytes and 8 bytes for each LUN; returns its
/// size. `others` are fields of eight bytes as they are: those of well known logical units.
std::size_t encode_lun_list(std::span<const Lun> luns, std::span<const std::uint64_t> others, ByteSpan out);

/// Reads the list's fields one by one: the `index`th, or nothing at its end, also where it was cut short.
std::optional<std::uint64_t> lun_list_entry(ByteView list, std::size_t index);

}  // namespace peerlane::scsi
