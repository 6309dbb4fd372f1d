// A SCSI command as the initiator's callers give it, and what became of it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "io/executor.h"
#include "io/task.h"
#include "iscsi/codes.h"
#include "iscsi/pdu.h"
#include "scsi/opcodes.h"
#include "scsi/sense.h"

namespace peerlane::initiator {

/// What is told of each unit attention that a command met and that was not its caller's to handle.
class AttentionObserver {
 public:
  virtual void unit_attention(const scsi::Sense& sense) = 0;

 protected:
  AttentionObserver() = default;
  ~AttentionObserver() = default;
};

/// Knows whether a logical unit is the one that commands are meant for. Asked before each sending of a command, on the
/// session's reactor: also before it is sent again on a new connection, where another unit may answer at its LUN.
class UnitGuard {
 public:
  /// Whether that is known, since the last login.
  virtual bool usable() const = 0;
  /// Finds out, where it is not. Errors: ESTALE, another unit, and others; the command ends with them.
  virtual io::Task<Result<void>> make_usable() = 0;

 protected:
  UnitGuard() = default;
  ~UnitGuard() = default;
};

/// A command. The data buffers are the caller's, are used in place, and stay there until the command has ended: then
/// neither this process nor the kernel touches them any more. At most one of them is given.
struct Request {
  iscsi::LunField lun;
  std::array<std::uint8_t, scsi::kVariableLengthCdbBytes> cdb{};  // what follows its length is 0
  ByteView data_out;                                              // sent to the logical unit
  ByteSpan data_in;                                               // filled by it
  iscsi::Attribute attribute = iscsi::Attribute::kSimple;

  /// Whether doing it twice is as good as once. Only such a command is sent again when its connection was lost after it
  /// had been sent, when it timed out, or when the target aborted it.
  bool repeatable = false;
  /// Whether unit attentions, BUSY and TASK SET FULL come back to the caller, instead of another try.
  bool raw = false;
  io::Duration timeout = limits::kCommandTimeout;  // from when it may be sent to its answer, of each try
  /// Set: once it is true the command is taken back (ABORT TASK), within a second or so; it ends with ETIMEDOUT then,
  /// unless its answer came first. May be null.
  const std::atomic<bool>* canceled = nullptr;
  AttentionObserver* observer = nullptr;  // may be null
  UnitGuard* guard = nullptr;             // likewise
};

/// What the target answered.
struct ScsiResult {
  scsi::Status status = scsi::Status::kGood;
  std::optional<scsi::Sense> sense = {};  // with CHECK CONDITION, unless the target sent none that can be read
  std::size_t transferred = 0;            // bytes of the data buffer that were sent, or filled from its start
  std::uint32_t residual = 0;             // as the target says: fewer bytes than expected (more, if `overflow`)
  bool overflow = false;

  bool good() const { return status == scsi::Status::kGood || status == scsi::Status::kConditionMet; }
};

}  // namespace peerlane::initiator
