// REPORT and SET IDENTIFYING INFORMATION (SPC-4 §6.31 and §6.44): what the owner of a logical unit has it say of
// itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace peerlane::scsi {

/// INFORMATION TYPE (SPC-4 table 275). Seven bits.
enum class InformationType : std::uint8_t {
  kIdentifier = 0x00,  // peripheral device identifying information: bytes without a meaning
  kText = 0x01,        // peripheral device text identifying information: UTF-8, ended by NUL
  kSupported = 0x7f,   // asks which types there are
};

/// Where the type stands in both CDBs: the upper seven bits of byte 10.
inline constexpr std::size_t kInformationTypeByte = 10;
inline constexpr InformationType information_type(ByteView cdb) {
  return static_cast<InformationType>(cdb[kInformationTypeByte] >> 1);
}

inline constexpr std::size_t kInformationHeaderBytes = 4;
inline constexpr std::size_t kInformationDescriptorBytes = 4;

/// Writes the parameter data for one type to `out`, which has room for them; returns their size.
std::size_t encode_identifying_information(ByteView information, ByteSpan out);
/// The information, as far as it is there; it borrows from `bytes`.
std::optional<ByteView> decode_identifying_information(ByteView bytes);

/// A type and how many bytes it may have.
struct SupportedInformation {
  InformationType type = InformationType::kIdentifier;
  std::uint16_t most_bytes = 0;

  friend bool operator==(const SupportedInformation&, const SupportedInformation&) = default;
};

std::size_t encode_supported_information(std::span<const SupportedInformation> types, ByteSpan out);
std::optional<std::vector<SupportedInformation>> decode_supported_information(ByteView bytes);

}  // namespace peerlane::scsi
