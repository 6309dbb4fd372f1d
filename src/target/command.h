// One SCSI command as a device server executes it (SAM-5 §5.1), and the transport protocol services that it may ask for
// while it does (SAM-5 §5.4.3: Receive Data-Out, Send Data-In). The iSCSI session implements it; tests implement it
// with vectors.
//
// A Command belongs to one reactor and is used by one coroutine at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "io/buffer_pool.h"
#include "io/executor.h"
#include "io/task.h"
#include "scsi/sense.h"
#include "target/nexus_name.h"
#include "target/task_set.h"

namespace peerlane::target {

class LogicalUnit;

/// How a command ended: its status, and sense data with CHECK CONDITION.
struct Completion {
  scsi::Status status = scsi::Status::kGood;
  std::optional<scsi::Sense> sense;

  static Completion good() { return {}; }
  static Completion check(const scsi::Sense& sense) { return {scsi::Status::kCheckCondition, sense}; }
};

class Command {
 public:
  virtual ~Command() = default;

  /// The CDB, at least 16 bytes (padded with zeroes), longer with an extended CDB; at most limits::kMaxCdbBytes.
  virtual ByteView cdb() const = 0;
  virtual TaskAttribute attribute() const = 0;

  /// Its place in the task set of its I_T_L nexus. The device server enters it there; whoever made the command takes it
  /// out when it has ended.
  TaskSet::Place& place() { return place_; }

  /// What the initiator expects to send and to receive, in bytes (RFC 7143 §11.3.4); 0 where it set no W or R bit.
  virtual std::uint32_t data_out_length() const = 0;
  virtual std::uint32_t data_in_length() const = 0;

  /// The reactor that it belongs to.
  virtual io::Executor& executor() const = 0;

  /// Whether a task management function or the end of the session has ended this task: stop soon; the Completion is not
  /// used.
  virtual bool aborted() const = 0;

  /// States how many bytes the CDB asks to transfer (to or from the initiator). The transport derives the residual
  /// count from it and what the initiator expects. Without a call the count is that of the bytes given to send(), or
  /// received.
  virtual void set_transfer_length(std::uint64_t bytes) = 0;

  /// A data buffer of `size` bytes (1 to limits::kMaxBufferBytes); waits while the session's share is used up. Nothing
  /// if the task was aborted.
  virtual io::Task<std::optional<io::Buffer>> allocate(std::size_t size) = 0;

  /// Send Data-In: the first `length` bytes of `buffer`, after all bytes sent before. What exceeds data_in_length() is
  /// not sent.
  virtual void send(io::Buffer buffer, std::size_t length) = 0;

  /// Receive Data-Out: the bytes from `offset` on, `length` of them (1 to limits::kMaxBufferBytes), within
  /// data_out_length(). Offsets must be asked for in order and without gaps. Nothing if the task was aborted.
  virtual io::Task<std::optional<io::Buffer>> receive(std::uint64_t offset, std::size_t length) = 0;

  /// Aborts all tasks that these I_T nexuses, of the command's own target, have in `unit`, and waits for their end as
  /// task management does. None of them is the command's own.
  virtual io::Task<void> abort_tasks_of(std::vector<NexusName> nexuses, const LogicalUnit& unit) = 0;

 private:
  TaskSet::Place place_;
};

}  // namespace peerlane::target
