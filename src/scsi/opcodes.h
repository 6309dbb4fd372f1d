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
  kModeSelect6 = 0x15,
  kReserve6 = 0x16,
  kRelease6 = 0x17,
  kModeSense6 = 0x1a,
  kStartStopUnit = 0x1b,
  kReceiveDiagnosticResults = 0x1c,
  kSendDiagnostic = 0x1d,
  kPreventAllowMediumRemoval = 0x1e,
  kReadCapacity10 = 0x25,
  kRead10 = 0x28,
  kWrite10 = 0x2a,
  kWriteAndVerify10 = 0x2e,
  kVerify10 = 0x2f,
  kPreFetch10 = 0x34,
  kSynchronizeCache10 = 0x35,
  kReadDefectData10 = 0x37,
  kWriteSame10 = 0x41,
  kUnmap = 0x42,
  kSanitize = 0x48,
  kLogSelect = 0x4c,
  kLogSense = 0x4d,
  kModeSelect10 = 0x55,
  kReserve10 = 0x56,
  kRelease10 = 0x57,
  kModeSense10 = 0x5a,
  kPersistentReserveIn = 0x5e,
  kPersistentReserveOut = 0x5f,
  kVariableLength = 0x7f,
  kThirdPartyCopyOut = 0x83,
  kThirdPartyCopyIn = 0x84,
  kRead16 = 0x88,
  kCompareAndWrite = 0x89,
  kWrite16 = 0x8a,
  kOrWrite16 = 0x8b,
  kWriteAndVerify16 = 0x8e,
  kVerify16 = 0x8f,
  kPreFetch16 = 0x90,
  kSynchronizeCache16 = 0x91,
  kWriteSame16 = 0x93,
  kWriteAtomic16 = 0x9c,
  kServiceActionIn16 = 0x9e,
  kReportLuns = 0xa0,
  kMaintenanceIn = 0xa3,
  kMaintenanceOut = 0xa4,
  kRead12 = 0xa8,
  kWrite12 = 0xaa,
  kWriteAndVerify12 = 0xae,
  kVerify12 = 0xaf,
  kReadDefectData12 = 0xb7,
};

/// Service actions of SERVICE ACTION IN(16).
inline constexpr std::uint16_t kReadCapacity16 = 0x10;
inline constexpr std::uint16_t kGetLbaStatus = 0x12;
/// Service actions of MAINTENANCE IN.
inline constexpr std::uint16_t kReportIdentifyingInformation = 0x05;
inline constexpr std::uint16_t kReportTargetPortGroups = 0x0a;
inline constexpr std::uint16_t kReportSupportedOperationCodes = 0x0c;
inline constexpr std::uint16_t kReportSupportedTaskManagementFunctions = 0x0d;
inline constexpr std::uint16_t kReportPriority = 0x0e;
inline constexpr std::uint16_t kReportTimestamp = 0x0f;
/// Service actions of MAINTENANCE OUT.
inline constexpr std::uint16_t kSetIdentifyingInformation = 0x06;
inline constexpr std::uint16_t kSetTargetPortGroups = 0x0a;
inline constexpr std::uint16_t kSetTimestamp = 0x0f;
/// Service actions of THIRD-PARTY COPY OUT.
inline constexpr std::uint16_t kExtendedCopyLid1 = 0x00;
inline constexpr std::uint16_t kExtendedCopyLid4 = 0x01;
inline constexpr std::uint16_t kPopulateToken = 0x10;
inline constexpr std::uint16_t kWriteUsingToken = 0x11;
inline constexpr std::uint16_t kCopyOperationAbort = 0x1c;
/// Service actions of THIRD-PARTY COPY IN.
inline constexpr std::uint16_t kReceiveCopyStatusLid1 = 0x00;
inline constexpr std::uint16_t kReceiveCopyDataLid1 = 0x01;
inline constexpr std::uint16_t kReceiveCopyOperatingParameters = 0x03;
inline constexpr std::uint16_t kReceiveCopyFailureDetails = 0x04;
inline constexpr std::uint16_t kReceiveCopyStatusLid4 = 0x05;
inline constexpr std::uint16_t kReceiveCopyDataLid4 = 0x06;
inline constexpr std::uint16_t kReceiveRodTokenInformation = 0x07;
inline constexpr std::uint16_t kReportAllRodTokens = 0x08;
/// Service actions of SANITIZE.
inline constexpr std::uint16_t kSanitizeOverwrite = 0x01;
inline constexpr std::uint16_t kSanitizeBlockErase = 0x02;
inline constexpr std::uint16_t kSanitizeCryptographicErase = 0x03;
inline constexpr std::uint16_t kSanitizeExitFailureMode = 0x1f;
/// Service actions of the variable length CDB (SPC-4 §4.2.3).
inline constexpr std::uint16_t kRead32 = 0x0009;
inline constexpr std::uint16_t kVerify32 = 0x000a;
inline constexpr std::uint16_t kWrite32 = 0x000b;
inline constexpr std::uint16_t kWriteAndVerify32 = 0x000c;
inline constexpr std::uint16_t kWriteSame32 = 0x000d;
inline constexpr std::uint16_t kGetLbaStatus32 = 0x0012;
/// Those from 8000h on are vendor specific; these two are Peerlane's (scsi/token_read.h).
inline constexpr std::uint16_t kReadUsingToken = 0x8800;
inline constexpr std::uint16_t kReportRodToken = 0x8801;

/// The variable length CDBs of block commands are of 32 bytes: ADDITIONAL CDB LENGTH is 24.
inline constexpr unsigned kVariableLengthCdbBytes = 32;
inline constexpr std::uint8_t kAdditionalCdbLength = 24;

/// The CDB length that the group code of an operation code stands for (SPC-4 §4.2.5.1), with variable length CDBs of
/// the one length there is; 0 for the reserved and vendor specific groups.
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
    case 3:
      return operation_code == static_cast<std::uint8_t>(OperationCode::kVariableLength) ? kVariableLengthCdbBytes : 0;
    default:
      return 0;
  }
}

}  // namespace peerlane::scsi
