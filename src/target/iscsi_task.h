// A SCSI command of an iSCSI session, from its PDU to its response: what the device server sees as a Command, and on
// the other side the data transfer of RFC 7143 §4.2.5: unsolicited and solicited Data-Out, Data-In with the status in
// its last PDU (phase collapse), residual counts.
//
// Data-Out always comes in order: we negotiate DataPDUInOrder=Yes and DataSequenceInOrder=Yes (whoever says Yes wins),
// so that one offset says how far a task has come.
//
// Pooled by its session, which it belongs to, with everything else here on one reactor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "io/buffer_pool.h"
#include "io/event.h"
#include "io/executor.h"
#include "iscsi/pdu.h"
#include "target/command.h"

namespace peerlane::target {

class Connection;
class LogicalUnit;
class Session;

class IscsiTask final : public Command {
 public:
  explicit IscsiTask(Session& session) : session_(session) {}

  // --- Its life, driven by session and connection ---

  /// Takes a new command. `extended_cdb` is what follows the first 16 bytes of the CDB.
  void begin(Connection& connection, const iscsi::ScsiCommand& pdu, ByteView extended_cdb);

  /// The device server has it; and is done with it.
  void set_running() { running_ = true; }
  void complete(const Completion& completion);

  /// Whether nothing of it is under way any more: it may be answered and recycled.
  bool over() const { return !running_ && !pinned_ && (aborted_ || !unsolicited_open_); }

  /// The status that it ends with.
  scsi::Status status() const;

  /// Sends the response, or nothing if the task was aborted.
  void respond();

  /// Ends the task early: it gets no response. Session::settle must follow.
  void abort();
  /// Lets the device server look again at what it waits for. It may end here, and be recycled.
  void wake() {
    place().wake();
    arrived_.wake_all();
  }
  bool was_aborted() const { return aborted_; }

  /// The logical unit that waits for an aborted write of this task, or null.
  LogicalUnit* orphaned_on() const { return orphaned_on_; }
  void set_orphaned_on(LogicalUnit* unit) { orphaned_on_ = unit; }

  /// Ends the task early with `completion`: the data of the command did not come as they should have, or there is no
  /// room for them. Session::settle must follow.
  void fail(const Completion& completion);
  bool failed() const { return failure_.has_value(); }

  std::uint32_t initiator_task_tag() const { return initiator_task_tag_; }
  std::uint64_t lun_field() const { return lun_field_; }
  bool immediate() const { return immediate_; }

  // --- Data-Out, driven by the connection ---

  /// Checks a Data-Out PDU against what the task expects, and counts it. The text says what is wrong, for the log; null
  /// if nothing is.
  const char* accept(const iscsi::DataOut& pdu);

  /// Between these the connection is bringing in data of a PDU: the task and the memory that next_place() gives stay,
  /// even if the task is aborted meanwhile. `final` is the PDU's F bit. Session::settle must follow.
  void begin_data() { pinned_ = true; }
  void end_data(bool final);

  /// Makes room for data that come before the device server waits for them, if the command has no more than these
  /// `size` bytes and the room is there at once.
  bool make_room_for_all(std::size_t size);

  /// Where the next data go, `most` bytes or fewer. Empty: the task has no use for them, or there is no room for what
  /// nobody has asked for, and it has failed; they are to be skipped.
  ByteSpan next_place(std::size_t most);
  /// `count` bytes were put there, or skipped.
  void filled(std::size_t count) { received_ += static_cast<std::uint32_t>(count); }

  /// Whether it has waited for data of the initiator since before `when`.
  bool starved_since(io::TimePoint when) const { return (r2t_count_ != 0 || unsolicited_open_) && asked_at_ < when; }

  // --- Command ---

  ByteView cdb() const override { return cdb_; }
  TaskAttribute attribute() const override { return attribute_; }
  io::Executor& executor() const override;
  std::uint32_t data_out_length() const override { return data_out_length_; }
  std::uint32_t data_in_length() const override { return data_in_length_; }
  bool aborted() const override { return aborted_ || failure_.has_value(); }
  void set_transfer_length(std::uint64_t bytes) override { transfer_length_ = bytes; }
  io::Task<std::optional<io::Buffer>> allocate(std::size_t size) override;
  void send(io::Buffer buffer, std::size_t length) override;
  io::Task<std::optional<io::Buffer>> receive(std::uint64_t offset, std::size_t length) override;
  io::Task<void> abort_tasks_of(std::vector<NexusName> nexuses, const LogicalUnit& unit) override;

 private:
  friend class TaskTable;

  struct OutstandingR2t {
    std::uint32_t transfer_tag = 0;
    std::uint32_t end = 0;  // offset after its last byte
  };
  struct Residual {
    bool overflow = false;
    bool underflow = false;
    std::uint32_t count = 0;
  };

  io::Task<std::optional<io::Buffer>> allocate_later(std::size_t size);
  io::Task<std::optional<io::Buffer>> receive_later(std::uint64_t offset, std::size_t length);
  void ask_for_data();
  std::size_t take_early(ByteSpan into);
  void flush_held(bool last, const Residual* with_status);
  Residual residual() const;
  void send_response(const Completion& completion, const Residual& residual);

  Session& session_;
  Connection* connection_ = nullptr;
  IscsiTask* next_in_table_ = nullptr;

  // The command
  std::array<std::uint8_t, 16> short_cdb_{};
  std::vector<std::uint8_t> long_cdb_;
  ByteView cdb_;
  std::uint32_t initiator_task_tag_ = 0;
  std::uint64_t lun_field_ = 0;
  TaskAttribute attribute_ = TaskAttribute::kSimple;
  bool immediate_ = false;
  std::uint32_t data_out_length_ = 0;
  std::uint32_t data_in_length_ = 0;

  // Its state and its end
  bool running_ = false;  // with the device server
  bool pinned_ = false;   // the connection is bringing in data for it
  bool aborted_ = false;
  LogicalUnit* orphaned_on_ = nullptr;
  std::optional<Completion> failure_;
  std::optional<Completion> completion_;
  std::optional<std::uint64_t> transfer_length_;

  // Data-Out
  bool unsolicited_open_ = false;   // unsolicited Data-Out PDUs are still to come
  std::uint32_t received_ = 0;      // bytes that have come, all in order
  std::uint32_t taken_ = 0;         // of these, bytes the device server was given
  std::uint32_t next_data_sn_ = 0;  // in the current sequence
  std::uint32_t r2t_offset_ = 0;    // what was asked for ends here
  std::uint32_t next_r2t_sn_ = 0;
  std::array<OutstandingR2t, limits::kMaxOutstandingR2T> r2ts_{};
  std::uint32_t first_r2t_ = 0;
  std::uint32_t r2t_count_ = 0;
  io::TimePoint asked_at_{};
  io::Buffer early_;               // unsolicited data that came before they were asked for, each at its offset...
  std::uint32_t early_end_ = 0;    // ...up to here, from taken_ on
  ByteSpan want_;                  // what the device server waits for...
  std::uint32_t want_offset_ = 0;  // ...from this offset on
  io::Event arrived_;

  // Data-In
  std::uint64_t offered_ = 0;         // bytes the device server has given
  std::uint32_t sent_ = 0;            // bytes queued or held
  std::uint32_t data_in_offset_ = 0;  // bytes queued
  std::uint32_t data_sn_ = 0;
  io::Buffer held_;  // the last piece waits for the status
  std::size_t held_length_ = 0;
};

/// The tasks of a session by Initiator Task Tag. Never allocates; finding takes constant time for the few tasks there
/// can be.
class TaskTable {
 public:
  IscsiTask* find(std::uint32_t initiator_task_tag) const;
  void insert(IscsiTask& task);
  void erase(IscsiTask& task);
  bool contains(const IscsiTask& task) const { return find(task.initiator_task_tag()) == &task; }

  /// Calls `visit(task)` for every task; visit may erase the task it is given.
  template <typename Visit>
  void for_each(Visit&& visit) {
    for (IscsiTask* task : buckets_) {
      while (task != nullptr) {
        IscsiTask* const next = task->next_in_table_;
        visit(*task);
        task = next;
      }
    }
  }

 private:
  static constexpr std::size_t kBuckets = 256;
  static std::size_t bucket_of(std::uint32_t tag) { return (tag * 0x9e3779b1u) >> 24; }

  std::array<IscsiTask*, kBuckets> buckets_{};
};

}  // namespace peerlane::target
