// Operation codes and service actions (SPC-4 annex F.3, SBC-4 §5.1) of the commands that this code knows.
#pragma once

#include <cstdint>

namespace peerlane::scsi {

enum class OperationCode : std::uint8_t {
  kTestUnitReady = 0x00,
  kRequestSense = 0x03,
  kRead6 = 0x08,
  kWrite6 = 0x0a,
  kInquiry = 0x12,
  kModeSense6 = 0x1a,
  kStartStopUnit = 0x1b,
  kReadCapacity10 = 0x25,
  kRead10 = 0x28,
  kWrite10 = 0x2a,
  kWriteAndVerify10 = 0x2e,
  kVerify10 = 0x2f,
  kSynchronizeCache10 = 0x35,
  kWriteSame10 = 0x41,
  kUnmap = 0x42,
  kModeSense10 = 0x5a,
  kRead16 = 0x88,
  kWrite16 = 0x8a,
  kWriteAndVerify16 = 0x8e,
  kVerify16 = 0x8f,
  kSynchronizeCache16 = 0x91,
  kWriteSame16 = 0x93,
  kServiceActionIn16 = 0x9e,
  kReportLuns = 0xa0,
  kMaintenanceIn = 0xa3,
  kRead12 = 0xa8,
  kWrite12 = 0xaa,
  kWriteAndVerify12 = 0xae,
};

/// Service actions of SERVICE ACTION IN(16).
inline constexpr std::uint8_t kReadCapacity16 = 0x10;
inline constexpr std::uint8_t kGetLbaStatus = 0x12;
/// Service actions of MAINTENANCE IN.
inline constexpr std::uint8_t kReportSupportedOperationCodes = 0x0c;

/// The CDB length that the group code of an operation code stands for (SPC-4 §4.2.5.1); 0 for the reserved, vendor
/// specific and variable length groups.
constexpr unsigned cdb_length(std::uint8_t operation_code) {
  switch (operation_code >> 5) {
    case 0:
      return 6;
    case 1:
    case 2:
      return 10;
    case 4:
      return 16;
    case 5:
      return 12;
    default:
      return 0;
  }
}

}  // namespace peerlane::scsi
