#include "initiator/scsi_error.h"

#include <array>

#include <fmt/format.h>

#include "scsi/sense_codes.h"

namespace peerlane::initiator {
namespace {

using scsi::SenseKey;
using scsi::Status;
namespace codes = scsi::sense_codes;

constexpr std::array<std::string_view, 16> kKeyNames{
    "NO SENSE",       "RECOVERED ERROR", "NOT READY",   "MEDIUM ERROR",    "HARDWARE ERROR", "ILLEGAL REQUEST",
    "UNIT ATTENTION", "DATA PROTECT",    "BLANK CHECK", "VENDOR SPECIFIC", "COPY ABORTED",   "ABORTED COMMAND",
    "RESERVED",       "VOLUME OVERFLOW", "MISCOMPARE",  "COMPLETED"};

std::string_view status_name(Status status) {
  switch (status) {
    case Status::kBusy:
      return "the logical unit is busy";
    case Status::kReservationConflict:
      return "another initiator has reserved the logical unit";
    case Status::kTaskSetFull:
      return "the logical unit's queue is full";
    case Status::kAcaActive:
      return "the logical unit waits for CLEAR ACA";
    case Status::kTaskAborted:
      return "the command was aborted by somebody else";
    default:
      return "";
  }
}

int code_of(Status status) {
  switch (status) {
    case Status::kBusy:
    case Status::kTaskSetFull:
      return EBUSY;
    case Status::kReservationConflict:
      return EBADE;
    default:
      return EIO;
  }
}

int code_of(const scsi::Sense& sense) {
  switch (sense.key) {
    case SenseKey::kDataProtect:
      return sense.code == codes::kSpaceAllocationFailed ? ENOSPC : EROFS;
    case SenseKey::kIllegalRequest:
      if (sense.code == codes::kLbaOutOfRange) return ERANGE;
      if (sense.code == codes::kLogicalUnitNotSupported) return ENODEV;
      if (sense.code == codes::kInvalidOperationCode || sense.code == codes::kInvalidFieldInCdb) return ENOTSUP;
      if (sense.code == codes::kTokenExpired) return EKEYEXPIRED;
      if (sense.code == codes::kTokenRevoked) return EKEYREVOKED;
      if (sense.code == codes::kTokenUnknown || sense.code == codes::kTokenDeleted) return ENOKEY;
      return EIO;
    case SenseKey::kMiscompare:
      return EILSEQ;
    case SenseKey::kNotReady:
      if (sense.code == codes::kTargetPortStandby || sense.code == codes::kTargetPortUnavailable) return EHOSTDOWN;
      return EBUSY;
    default:
      return EIO;
  }
}

}  // namespace

bool succeeded(const ScsiResult& result) {
  return result.good() || (result.status == Status::kCheckCondition && result.sense && !result.sense->deferred &&
                           result.sense->key == SenseKey::kRecoveredError);
}

bool is_path_error(const Error& error) {
  switch (error.code) {
    case ENOSPC:
    case EROFS:
    case ENOTSUP:
    case ERANGE:
    case EBUSY:
    case EBADE:
    case EILSEQ:
    case EIO:
    case EINVAL:
    case EMSGSIZE:
      return false;
    default:  // how a connection fails is the system's to say
      return true;
  }
}

std::string to_string(const scsi::Sense& sense) {
  const auto key = static_cast<unsigned>(sense.key) & 0xf;
  const auto code = static_cast<unsigned>(sense.code);
  return fmt::format("{} ({:02X}h), {:02X}h/{:02X}h{}", kKeyNames[key], key, code >> 8, code & 0xff,
                     sense.deferred ? ", of an earlier command" : "");
}

Error to_error(const ScsiResult& result, std::string_view doing) {
  if (result.status == Status::kCheckCondition && result.sense) {
    return {code_of(*result.sense), fmt::format("{}: {}", doing, to_string(*result.sense))};
  }
  const std::string_view name = status_name(result.status);
  if (!name.empty()) return {code_of(result.status), fmt::format("{}: {}", doing, name)};
  return {EIO, fmt::format("{}: the target answers with status {:02X}h", doing, static_cast<unsigned>(result.status))};
}

}  // namespace peerlane::initiator
