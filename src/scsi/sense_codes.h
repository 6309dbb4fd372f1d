// The additional sense codes that this code gives or acts on (SPC-4 annex F.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "scsi/sense.h"

namespace peerlane::scsi::sense_codes {

/// `code(0x21, 0x00)`: ADDITIONAL SENSE CODE and its qualifier.
constexpr SenseCode code(std::uint8_t asc, std::uint8_t ascq) {
  return static_cast<SenseCode>(asc << 8 | ascq);
}

inline constexpr SenseCode kNone = code(0x00, 0x00);
inline constexpr SenseCode kOperationInProgress = code(0x00, 0x16);
inline constexpr SenseCode kInitializingCommandRequired = code(0x04, 0x02);
inline constexpr SenseCode kAccessStateTransition = code(0x04, 0x0a);
inline constexpr SenseCode kTargetPortStandby = code(0x04, 0x0b);
inline constexpr SenseCode kTargetPortUnavailable = code(0x04, 0x0c);
inline constexpr SenseCode kSanitizeInProgress = code(0x04, 0x1b);
inline constexpr SenseCode kUnreachableCopyTarget = code(0x08, 0x04);
inline constexpr SenseCode kWriteError = code(0x0c, 0x00);
inline constexpr SenseCode kUnexpectedUnsolicitedData = code(0x0c, 0x0c);
inline constexpr SenseCode kIncorrectAmountOfData = code(0x0c, 0x0d);
inline constexpr SenseCode kThirdPartyDeviceFailure = code(0x0d, 0x01);
inline constexpr SenseCode kCopyTargetNotReachable = code(0x0d, 0x02);
inline constexpr SenseCode kIncorrectCopyTargetType = code(0x0d, 0x03);
inline constexpr SenseCode kCopyTargetDataUnderrun = code(0x0d, 0x04);
inline constexpr SenseCode kCopyTargetDataOverrun = code(0x0d, 0x05);
inline constexpr SenseCode kInvalidFieldInCommandInformationUnit = code(0x0e, 0x03);
inline constexpr SenseCode kUnrecoveredReadError = code(0x11, 0x00);
inline constexpr SenseCode kParameterListLengthError = code(0x1a, 0x00);
inline constexpr SenseCode kMiscompareDuringVerify = code(0x1d, 0x00);
inline constexpr SenseCode kInvalidOperationCode = code(0x20, 0x00);
inline constexpr SenseCode kLbaOutOfRange = code(0x21, 0x00);
inline constexpr SenseCode kInvalidTokenOperation = code(0x23, 0x00);
inline constexpr SenseCode kUnsupportedTokenType = code(0x23, 0x01);
inline constexpr SenseCode kRemoteTokenUsageNotSupported = code(0x23, 0x02);
inline constexpr SenseCode kRemoteTokenCreationNotSupported = code(0x23, 0x03);
inline constexpr SenseCode kTokenUnknown = code(0x23, 0x04);
inline constexpr SenseCode kTokenCorrupt = code(0x23, 0x05);
inline constexpr SenseCode kTokenRevoked = code(0x23, 0x06);
inline constexpr SenseCode kTokenExpired = code(0x23, 0x07);
inline constexpr SenseCode kTokenCancelled = code(0x23, 0x08);
inline constexpr SenseCode kTokenDeleted = code(0x23, 0x09);
inline constexpr SenseCode kInvalidTokenLength = code(0x23, 0x0a);
inline constexpr SenseCode kInvalidFieldInCdb = code(0x24, 0x00);
inline constexpr SenseCode kLogicalUnitNotSupported = code(0x25, 0x00);
inline constexpr SenseCode kInvalidFieldInParameterList = code(0x26, 0x00);
inline constexpr SenseCode kInvalidReleaseOfReservation = code(0x26, 0x04);
inline constexpr SenseCode kTooManyTargetDescriptors = code(0x26, 0x06);
inline constexpr SenseCode kUnsupportedTargetDescriptor = code(0x26, 0x07);
inline constexpr SenseCode kTooManySegmentDescriptors = code(0x26, 0x08);
inline constexpr SenseCode kUnsupportedSegmentDescriptor = code(0x26, 0x09);
inline constexpr SenseCode kUnexpectedInexactSegment = code(0x26, 0x0a);
inline constexpr SenseCode kInlineDataLengthExceeded = code(0x26, 0x0b);
inline constexpr SenseCode kInvalidOperationForCopy = code(0x26, 0x0c);
inline constexpr SenseCode kCopySegmentGranularityViolation = code(0x26, 0x0d);
inline constexpr SenseCode kWriteProtected = code(0x27, 0x00);
inline constexpr SenseCode kSoftwareWriteProtected = code(0x27, 0x02);
inline constexpr SenseCode kSpaceAllocationFailed = code(0x27, 0x07);
inline constexpr SenseCode kPowerOnOrReset = code(0x29, 0x00);
inline constexpr SenseCode kBusDeviceReset = code(0x29, 0x03);
inline constexpr SenseCode kNexusLoss = code(0x29, 0x07);
inline constexpr SenseCode kModeParametersChanged = code(0x2a, 0x01);
inline constexpr SenseCode kLogParametersChanged = code(0x2a, 0x02);
inline constexpr SenseCode kReservationsPreempted = code(0x2a, 0x03);
inline constexpr SenseCode kReservationsReleased = code(0x2a, 0x04);
inline constexpr SenseCode kRegistrationsPreempted = code(0x2a, 0x05);
inline constexpr SenseCode kAccessStateChanged = code(0x2a, 0x06);
inline constexpr SenseCode kCapacityChanged = code(0x2a, 0x09);
inline constexpr SenseCode kTimestampChanged = code(0x2a, 0x10);
inline constexpr SenseCode kCommandsCleared = code(0x2f, 0x00);
inline constexpr SenseCode kSanitizeCommandFailed = code(0x31, 0x03);
inline constexpr SenseCode kSavingParametersNotSupported = code(0x39, 0x00);
inline constexpr SenseCode kSelfTestFailed = code(0x3e, 0x03);
inline constexpr SenseCode kDeviceIdentifierChanged = code(0x3f, 0x05);
inline constexpr SenseCode kReportedLunsChanged = code(0x3f, 0x0e);
inline constexpr SenseCode kInternalTargetFailure = code(0x44, 0x00);
inline constexpr SenseCode kProtocolServiceCrcError = code(0x47, 0x05);
inline constexpr SenseCode kInvalidMessageError = code(0x49, 0x00);
inline constexpr SenseCode kInitiatorResponseTimeout = code(0x4b, 0x06);
inline constexpr SenseCode kInsufficientResources = code(0x55, 0x03);
inline constexpr SenseCode kInsufficientRegistrationResources = code(0x55, 0x04);
inline constexpr SenseCode kInsufficientResourcesForRod = code(0x55, 0x0c);
inline constexpr SenseCode kInsufficientResourcesForRodToken = code(0x55, 0x0d);

}  // namespace peerlane::scsi::sense_codes

namespace peerlane::scsi {

/// ILLEGAL REQUEST with one of the codes above.
inline Sense illegal_request(SenseCode code) {
  Sense sense;
  sense.key = SenseKey::kIllegalRequest;
  sense.code = code;
  return sense;
}

/// INVALID FIELD IN CDB: the field whose most significant bit is `bit` of byte `byte`, or which starts with that whole
/// byte.
inline Sense invalid_field_in_cdb(std::size_t byte, std::optional<std::uint8_t> bit = std::nullopt) {
  Sense sense = illegal_request(sense_codes::kInvalidFieldInCdb);
  sense.field = FieldPointer{.in_cdb = true, .bit = bit, .byte = static_cast<std::uint16_t>(byte)};
  return sense;
}

/// INVALID FIELD IN PARAMETER LIST: the field whose most significant bit is `bit` of byte `byte`, or which starts with
/// that whole byte.
inline Sense invalid_field_in_parameter_list(std::size_t byte, std::optional<std::uint8_t> bit = std::nullopt) {
  Sense sense = illegal_request(sense_codes::kInvalidFieldInParameterList);
  sense.field = FieldPointer{.in_cdb = false, .bit = bit, .byte = static_cast<std::uint16_t>(byte)};
  return sense;
}

}  // namespace peerlane::scsi
