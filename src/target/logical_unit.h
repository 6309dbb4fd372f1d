// A logical unit (SAM-5 §4.6): a disk as initiators see it, and the device server that executes commands on it. The
// commands themselves are in target/command_table.h.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "block/device.h"
#include "io/task.h"
#include "pcie/disk_part.h"
#include "scsi/blocks.h"
#include "scsi/lun.h"
#include "scsi/sense.h"
#include "target/background.h"
#include "target/change_watch.h"
#include "target/command.h"
#include "target/copy_settings.h"
#include "target/copy_tally.h"
#include "target/io_statistics.h"
#include "target/mode_parameters.h"
#include "target/nexus_name.h"
#include "target/port_groups.h"
#include "target/range_lock.h"
#include "target/reservation_class.h"
#include "target/reservations.h"
#include "target/sanitize_record.h"
#include "target/task_set.h"
#include "target/unit_attention.h"
#include "target/unit_condition.h"
#include "target/unit_information.h"
#include "target/unit_timestamp.h"

namespace peerlane::target {

class CopyManager;
class ItlNexus;
class LogicalUnit;
class StateStore;
class TokenStore;

/// What commands may see of the target device around their logical unit, as one I_T nexus is allowed to see it.
class NexusView {
 public:
  virtual ~NexusView() = default;
  virtual const NexusName& name() const = 0;
  /// The LUNs that REPORT LUNS lists, in ascending order. Valid as long as the nexus.
  virtual std::span<const scsi::Lun> luns() const = 0;
  /// Clears a unit attention condition for this I_T nexus in all logical units.
  virtual void clear_attention(scsi::SenseCode code) = 0;
  /// Its I_T_L nexus with the logical unit of a LUN; null if there is no such unit, or it has no way to others at all.
  virtual ItlNexus* find(scsi::Lun lun) const;
  /// Its copy manager; null if it has none, and then no third-party copy commands.
  virtual CopyManager* copies() { return nullptr; }
  /// The tokens of the target device; there if the copy manager is.
  virtual TokenStore* tokens() { return nullptr; }
  /// What holds for its third-party copies.
  virtual CopySettings copy_settings() const { return {}; }
};

/// An I_T_L nexus: what a logical unit keeps for each session. Made by LogicalUnit::attach, which must outlive it.
class ItlNexus {
 public:
  ItlNexus(const ItlNexus&) = delete;
  ItlNexus& operator=(const ItlNexus&) = delete;
  ~ItlNexus();

  UnitAttentionQueue& attentions() { return attentions_; }
  TaskSet& task_set() { return task_set_; }
  NexusView& view() const { return view_; }
  LogicalUnit& unit() const { return unit_; }
  /// The asymmetric access state of the target port that its session came to.
  scsi::AccessState access_state() const { return port_group_.state(); }
  /// Counted by its commands, on the reactor of its session.
  IoCounters& counters() { return counters_; }

  /// The commands that conflict with reservations now.
  ConflictSet conflicts() const { return conflicts_.load(std::memory_order_acquire); }
  void set_conflicts(ConflictSet conflicts) { conflicts_.store(conflicts, std::memory_order_release); }

 private:
  friend class LogicalUnit;
  ItlNexus(LogicalUnit& unit, NexusView& view, const PortGroup& port_group)
      : unit_(unit), view_(view), port_group_(port_group) {}

  LogicalUnit& unit_;
  NexusView& view_;
  const PortGroup& port_group_;
  IoCounters counters_;
  UnitAttentionQueue attentions_;
  TaskSet task_set_;
  std::atomic<ConflictSet> conflicts_{0};
};

/// What a logical unit is to be, beside the disk.
struct LogicalUnitOptions {
  std::string target_name;  // iSCSI name of the target device
  scsi::Lun lun;
  std::string product;  // PRODUCT IDENTIFICATION: 16 characters of printable ASCII are used; empty: "DISK"
  std::uint32_t physical_block_size = 0;  // what initiators are told, a multiple of the block size; 0: the device's own
  bool read_only = false;                 // in addition to what the device says
  bool write_through = false;             // every write reaches stable storage before its status: WCE is 0, for good
  std::vector<PortGroupDeclaration> port_groups = {};  // the portal groups that the target is reachable through
  std::optional<pcie::DiskPart> part = {};             // the hardware that the disk lies on, if there is that to state
  StateStore* state = nullptr;  // outlives the unit; null: nothing survives a restart, and no command promises it
};

/// Identifiers of a logical unit; the same after a restart with the same target name, LUN and disk.
struct UnitIdentity {
  std::string target_name;
  std::string product;
  std::string serial;     // PRODUCT SERIAL NUMBER: 16 hexadecimal digits
  std::uint64_t naa = 0;  // NAA locally assigned designator (SPC-4 §7.8.6.6.4)
};

/// Thread-safe: one object serves all sessions on all reactors. Reading and writing take no lock.
class LogicalUnit {
 public:
  LogicalUnit(std::unique_ptr<block::Device> device, const LogicalUnitOptions& options);
  LogicalUnit(const LogicalUnit&) = delete;
  LogicalUnit& operator=(const LogicalUnit&) = delete;
  /// All nexuses are gone and all commands have ended.
  ~LogicalUnit();

  /// Reads what was saved in an earlier life: mode parameters, identifying information, persistent reservations, a
  /// sanitize operation that did not end. Errors say which cannot be read and what to do. Blocks; to be called once,
  /// before the first nexus.
  Result<void> load_state();

  /// A new I_T_L nexus, with the unit attention of a power on pending. `view` outlives it.
  std::unique_ptr<ItlNexus> attach(NexusView& view);

  /// Executes one command, when its task attribute lets it. `nexus` and `command` stay until the task has ended; then
  /// the caller takes the command out of the task set. What needs no waiting is done at once: the checks that all
  /// commands share, when this is called; the rest when the task is awaited.
  io::Task<Completion> execute(ItlNexus& nexus, Command& command);

  /// The effects of a logical unit reset (SAM-5 §6.3.3) but for the tasks, which belong to the sessions: mode
  /// parameters are the saved ones again, the unit is started, RESERVE is no longer in effect, and every nexus but
  /// `requester` (may be null) has the unit attention `code`. If that switches the write cache off, what was written
  /// before is on stable storage at the end.
  io::Task<void> reset(scsi::SenseCode code, const ItlNexus* requester);

  /// Makes a unit attention pending for every nexus but `except` (may be null).
  void establish(scsi::SenseCode code, const ItlNexus* except);

  /// Brings target port groups into other asymmetric access states; if that changes any, all nexuses but `except` (may
  /// be null) are told (2Ah/06h). Without `except` the change is an implicit one, by the unit's owner. The groups
  /// exist.
  void change_access(std::span<const scsi::SetTargetPortGroup> changes, const ItlNexus* except);

  /// Asks the device for its size; if that changed, commands see it at once and all nexuses are told (2Ah/09h). True if
  /// it changed. Blocks for the time of a system call.
  Result<bool> check_size();

  /// A write was aborted that the device has not let go of: it may still reach the disk. Until it has ended, commands
  /// that access the medium get BUSY, so that no later write is overtaken by it.
  void orphan_begins() { orphans_.fetch_add(1, std::memory_order_acq_rel); }
  void orphan_ended() { orphans_.fetch_sub(1, std::memory_order_acq_rel); }
  bool has_orphans() const { return orphans_.load(std::memory_order_acquire) != 0; }

  /// Third-party copies from or to the unit that go on now: they share what its disk can do with everybody else.
  std::atomic<unsigned>& copies_under_way() { return copies_under_way_; }

  /// How often it has been reset: what began before the last time is over.
  unsigned resets() const { return resets_.load(std::memory_order_acquire); }

  /// Calls `visit(ItlNexus&)` for every nexus, none of which comes or goes meanwhile.
  template <typename Visit>
  void for_each_nexus(Visit&& visit) {
    const std::lock_guard lock(nexuses_mutex_);
    for (ItlNexus* const nexus : nexuses_) visit(*nexus);
  }

  // --- What commands and sessions ask it ---

  /// D_SENSE of the control mode page (SPC-4 §7.5.8): the format in which sense data are returned.
  bool descriptor_sense() const { return modes_.current().descriptor_sense; }
  /// The mode parameters that can be changed.
  ModeParameters& modes() { return modes_; }
  const ModeParameters& modes() const { return modes_; }
  const PortGroups& port_groups() const { return port_groups_; }
  /// What third-party copies have brought here.
  CopyTally& copy_tally() { return copy_tally_; }
  UnitInformation& information() { return information_; }
  UnitTimestamp& timestamp() { return timestamp_; }
  /// Whether there is a place for what must survive a restart.
  bool keeps_state() const { return modes_.can_save(); }
  /// What was read and written since the start, or since reset_statistics().
  IoTotals statistics();
  void reset_statistics();
  scsi::BlockCount capacity() const { return {blocks_.load(std::memory_order_acquire)}; }
  std::uint32_t block_size() const { return block_size_; }
  std::uint32_t physical_block_size() const { return physical_block_size_; }
  block::Device& device() const { return *device_; }
  const block::Capabilities& capabilities() const { return capabilities_; }
  /// For good, by configuration or because of the device; besides, SWP may be set.
  bool read_only() const { return read_only_; }
  /// A write is to reach stable storage before its status, although the device has a volatile cache.
  bool write_through() const { return !modes_.current().write_cache; }
  /// WCE of the caching mode page (SBC-4 §6.5.6): what was written may be lost until SYNCHRONIZE CACHE.
  bool write_cache() const { return modes_.current().write_cache; }
  bool started() const { return started_.load(std::memory_order_acquire); }
  void set_started(bool started) { started_.store(started, std::memory_order_release); }
  const UnitIdentity& identity() const { return identity_; }
  /// The hardware that it lies on, where that has an identity of its own.
  const std::optional<pcie::DiskPart>& part() const { return part_; }
  /// Accesses to the device have a pass of this, in bytes of the device.
  RangeLock& ranges() { return ranges_; }
  UnitCondition& condition() { return condition_; }
  /// Sees all that is written to the device.
  ChangeWatch& changes() { return changes_; }
  SanitizeRecord& sanitize_record() { return sanitize_record_; }
  /// What goes on after the status of its command; has ended before the unit goes.
  Background& background() { return background_; }
  Reservations& reservations() { return reservations_; }

 private:
  friend class ItlNexus;
  void detach(const ItlNexus& nexus);
  io::Task<Completion> perform(ItlNexus& nexus, Command& command);
  io::Task<Completion> perform_in_turn(ItlNexus& nexus, Command& command);
  IoTotals all_statistics() const;  // with the lock held

  ChangeWatch changes_;
  const std::unique_ptr<block::Device> device_;
  const block::Capabilities capabilities_;
  const std::uint32_t block_size_;
  const std::uint32_t physical_block_size_;
  const bool read_only_;
  const UnitIdentity identity_;
  const std::optional<pcie::DiskPart> part_;
  std::atomic<std::uint64_t> blocks_;
  std::atomic<unsigned> orphans_{0};
  std::atomic<unsigned> copies_under_way_{0};
  std::atomic<unsigned> resets_{0};
  std::atomic<bool> started_{true};
  RangeLock ranges_;
  UnitCondition condition_;
  SanitizeRecord sanitize_record_;
  Background background_;
  ModeParameters modes_;
  PortGroups port_groups_;
  CopyTally copy_tally_;
  UnitInformation information_;
  UnitTimestamp timestamp_;

  std::mutex nexuses_mutex_;
  std::vector<ItlNexus*> nexuses_;
  IoTotals past_statistics_;    // of nexuses that are gone
  IoTotals statistics_origin_;  // what reset_statistics() forgot

  Reservations reservations_;
};

}  // namespace peerlane::target
