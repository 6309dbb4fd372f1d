// The numbers of iSCSI with their names: operation codes, reasons, functions, responses, events and login statuses
// (RFC 7143 §11, and RFC 7144 where it says so). A value that came from a peer may be none of the names.
#pragma once

#include <cstdint>
#include <string_view>

namespace peerlane::iscsi {

/// RFC 7143 §11.2.1.2.
enum class Opcode : std::uint8_t {
  kNopOut = 0x00,
  kScsiCommand = 0x01,
  kTaskManagementRequest = 0x02,
  kLoginRequest = 0x03,
  kTextRequest = 0x04,
  kDataOut = 0x05,
  kLogoutRequest = 0x06,
  kSnack = 0x10,
  kNopIn = 0x20,
  kScsiResponse = 0x21,
  kTaskManagementResponse = 0x22,
  kLoginResponse = 0x23,
  kTextResponse = 0x24,
  kDataIn = 0x25,
  kLogoutResponse = 0x26,
  kR2t = 0x31,
  kAsyncMessage = 0x32,
  kReject = 0x3f,
};

/// The value of a task tag or transfer tag that names nothing (RFC 7143 §11.2.1.8, §11.7.4).
inline constexpr std::uint32_t kReservedTag = 0xffffffff;

/// Task attributes of a SCSI Command (RFC 7143 §11.3.1).
enum class Attribute : std::uint8_t { kUntagged = 0, kSimple = 1, kOrdered = 2, kHeadOfQueue = 3, kAca = 4 };

/// The Response field of a SCSI Response (RFC 7143 §11.4.3).
enum class ServiceResponse : std::uint8_t { kCompletedAtTarget = 0x00, kTargetFailure = 0x01 };

/// RFC 7143 §11.5.1; the last four are of RFC 7144 §6.1.
enum class TaskFunction : std::uint8_t {
  kAbortTask = 1,
  kAbortTaskSet = 2,
  kClearAca = 3,
  kClearTaskSet = 4,
  kLogicalUnitReset = 5,
  kTargetWarmReset = 6,
  kTargetColdReset = 7,
  kTaskReassign = 8,
  kQueryTask = 9,
  kQueryTaskSet = 10,
  kItNexusReset = 11,
  kQueryAsynchronousEvent = 12,
};

/// RFC 7143 §11.6.1; kFunctionSucceeded is of RFC 7144 §6.2.
enum class TaskFunctionResponse : std::uint8_t {
  kFunctionComplete = 0,
  kTaskDoesNotExist = 1,
  kLunDoesNotExist = 2,
  kTaskStillAllegiant = 3,
  kReassignmentNotSupported = 4,
  kFunctionNotSupported = 5,
  kAuthorizationFailed = 6,
  kFunctionSucceeded = 7,
  kFunctionRejected = 255,
};

/// RFC 7143 §11.9.1.
enum class AsyncEvent : std::uint8_t {
  kScsiEvent = 0,              // sense data in the data segment
  kLogoutRequested = 1,        // Parameter3: seconds within which the initiator is to log out
  kConnectionDropped = 2,      // Parameter1: CID; Parameter2, 3: Time2Wait, Time2Retain
  kAllConnectionsDropped = 3,  // Parameter2, 3: Time2Wait, Time2Retain
  kNegotiationRequested = 4,   // Parameter3: seconds within which the initiator is to send a Text Request
  kTasksTerminated = 5,        // all tasks of a logical unit
  kVendorSpecific = 255,
};

/// RFC 7143 §11.14.1.
enum class LogoutReason : std::uint8_t { kCloseSession = 0, kCloseConnection = 1, kRemoveForRecovery = 2 };

/// RFC 7143 §11.15.1.
enum class LogoutResult : std::uint8_t {
  kSuccess = 0,
  kCidNotFound = 1,
  kRecoveryNotSupported = 2,
  kCleanupFailed = 3
};

/// RFC 7143 §11.16.1.
enum class SnackType : std::uint8_t { kDataOrR2t = 0, kStatus = 1, kDataAck = 2, kRData = 3 };

/// RFC 7143 §11.17.1.
enum class RejectReason : std::uint8_t {
  kDataDigestError = 0x02,
  kSnackReject = 0x03,
  kProtocolError = 0x04,
  kCommandNotSupported = 0x05,
  kImmediateCommandReject = 0x06,
  kTaskInProgress = 0x07,
  kInvalidDataAck = 0x08,
  kInvalidPduField = 0x09,
  kLongOperationReject = 0x0a,
  kWaitingForLogout = 0x0c,
};

/// The stages of a login, as CSG and NSG name them (RFC 7143 §11.12.3).
enum class Stage : std::uint8_t { kSecurityNegotiation = 0, kOperationalNegotiation = 1, kFullFeature = 3 };

/// Status-Class in the high byte, Status-Detail in the low one (RFC 7143 §11.13.5).
enum class LoginStatus : std::uint16_t {
  kSuccess = 0x0000,
  kMovedTemporarily = 0x0101,
  kMovedPermanently = 0x0102,
  kInitiatorError = 0x0200,
  kAuthenticationFailure = 0x0201,
  kAuthorizationFailure = 0x0202,
  kNotFound = 0x0203,
  kTargetRemoved = 0x0204,
  kUnsupportedVersion = 0x0205,
  kTooManyConnections = 0x0206,
  kMissingParameter = 0x0207,
  kCannotIncludeInSession = 0x0208,
  kSessionTypeNotSupported = 0x0209,
  kSessionDoesNotExist = 0x020a,
  kInvalidDuringLogin = 0x020b,
  kTargetError = 0x0300,
  kServiceUnavailable = 0x0301,
  kOutOfResources = 0x0302,
};

/// The version of the protocol that RFC 7143 defines (§11.12.4).
inline constexpr std::uint8_t kProtocolVersion = 0x00;

/// Names for logs, as the RFC spells them; "unknown" for a value that it does not define.
std::string_view name(Opcode opcode);
std::string_view name(RejectReason reason);
std::string_view name(LoginStatus status);
std::string_view name(TaskFunction function);

}  // namespace peerlane::iscsi
