#include "iscsi/codes.h"

namespace peerlane::iscsi {

std::string_view name(Opcode opcode) {
  switch (opcode) {
    case Opcode::kNopOut:
      return "NOP-Out";
    case Opcode::kScsiCommand:
      return "SCSI Command";
    case Opcode::kTaskManagementRequest:
      return "Task Management Function Request";
    case Opcode::kLoginRequest:
      return "Login Request";
    case Opcode::kTextRequest:
      return "Text Request";
    case Opcode::kDataOut:
      return "SCSI Data-Out";
    case Opcode::kLogoutRequest:
      return "Logout Request";
    case Opcode::kSnack:
      return "SNACK Request";
    case Opcode::kNopIn:
      return "NOP-In";
    case Opcode::kScsiResponse:
      return "SCSI Response";
    case Opcode::kTaskManagementResponse:
      return "Task Management Function Response";
    case Opcode::kLoginResponse:
      return "Login Response";
    case Opcode::kTextResponse:
      return "Text Response";
    case Opcode::kDataIn:
      return "SCSI Data-In";
    case Opcode::kLogoutResponse:
      return "Logout Response";
    case Opcode::kR2t:
      return "Ready To Transfer";
    case Opcode::kAsyncMessage:
      return "Asynchronous Message";
    case Opcode::kReject:
      return "Reject";
  }
  return "unknown";
}

std::string_view name(RejectReason reason) {
  switch (reason) {
    case RejectReason::kDataDigestError:
      return "Data (payload) digest error";
    case RejectReason::kSnackReject:
      return "SNACK Reject";
    case RejectReason::kProtocolError:
      return "Protocol Error";
    case RejectReason::kCommandNotSupported:
      return "Command not supported";
    case RejectReason::kImmediateCommandReject:
      return "Immediate command reject";
    case RejectReason::kTaskInProgress:
      return "Task in progress";
    case RejectReason::kInvalidDataAck:
      return "Invalid data ack";
    case RejectReason::kInvalidPduField:
      return "Invalid PDU field";
    case RejectReason::kLongOperationReject:
      return "Long op reject";
    case RejectReason::kWaitingForLogout:
      return "Waiting for Logout";
  }
  return "unknown";
}

std::string_view name(LoginStatus status) {
  switch (status) {
    case LoginStatus::kSuccess:
      return "Success";
    case LoginStatus::kMovedTemporarily:
      return "Target moved temporarily";
    case LoginStatus::kMovedPermanently:
      return "Target moved permanently";
    case LoginStatus::kInitiatorError:
      return "Initiator error";
    case LoginStatus::kAuthenticationFailure:
      return "Authentication failure";
    case LoginStatus::kAuthorizationFailure:
      return "Authorization failure";
    case LoginStatus::kNotFound:
      return "Not found";
    case LoginStatus::kTargetRemoved:
      return "Target removed";
    case LoginStatus::kUnsupportedVersion:
      return "Unsupported version";
    case LoginStatus::kTooManyConnections:
      return "Too many connections";
    case LoginStatus::kMissingParameter:
      return "Missing parameter";
    case LoginStatus::kCannotIncludeInSession:
      return "Can't include in session";
    case LoginStatus::kSessionTypeNotSupported:
      return "Session type not supported";
    case LoginStatus::kSessionDoesNotExist:
      return "Session does not exist";
    case LoginStatus::kInvalidDuringLogin:
      return "Invalid during login";
    case LoginStatus::kTargetError:
      return "Target error";
    case LoginStatus::kServiceUnavailable:
      return "Service unavailable";
    case LoginStatus::kOutOfResources:
      return "Out of resources";
  }
  return "unknown";
}

std::string_view name(TaskFunction function) {
  switch (function) {
    case TaskFunction::kAbortTask:
      return "ABORT TASK";
    case TaskFunction::kAbortTaskSet:
      return "ABORT TASK SET";
    case TaskFunction::kClearAca:
      return "CLEAR ACA";
    case TaskFunction::kClearTaskSet:
      return "CLEAR TASK SET";
    case TaskFunction::kLogicalUnitReset:
      return "LOGICAL UNIT RESET";
    case TaskFunction::kTargetWarmReset:
      return "TARGET WARM RESET";
    case TaskFunction::kTargetColdReset:
      return "TARGET COLD RESET";
    case TaskFunction::kTaskReassign:
      return "TASK REASSIGN";
    case TaskFunction::kQueryTask:
      return "QUERY TASK";
    case TaskFunction::kQueryTaskSet:
      return "QUERY TASK SET";
    case TaskFunction::kItNexusReset:
      return "I_T NEXUS RESET";
    case TaskFunction::kQueryAsynchronousEvent:
      return "QUERY ASYNCHRONOUS EVENT";
  }
  return "unknown";
}

}  // namespace peerlane::iscsi
