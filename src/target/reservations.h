// The reservations of one logical unit: persistent ones (SPC-4 §5.12), and those of RESERVE and RELEASE (SPC-2 §5.5),
// which an I_T nexus loses with its session. The two exclude each other.
//
// Thread-safe. What a command needs to know is in its I_T_L nexus, as one atomic (ItlNexus::conflicts), and is brought
// up to date there with every change; nothing here is on the way of reads and writes.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/task.h"
#include "target/command.h"
#include "target/persistent_reservations.h"
#include "target/turn.h"

namespace peerlane::target {

class ItlNexus;
class LogicalUnit;
class StateStore;

class Reservations {
 public:
  /// Of `unit`, which owns it. `state` outlives it, and may be null: nothing is kept then. `key` names what is kept.
  Reservations(LogicalUnit& unit, StateStore* state, std::string key);

  /// Brings back what was kept. Before the first nexus is attached. Blocks. Errors: what is kept is damaged; the
  /// sentence says what to do.
  Result<void> load();

  /// Whether registrations can survive a loss of power (PTPL_C).
  bool can_persist() const { return state_ != nullptr; }

  /// A copy of the persistent reservations as they are now.
  PersistentReservations persistent() const;

  /// RESERVE and RELEASE through `nexus`.
  Completion reserve(ItlNexus& nexus);
  Completion release(ItlNexus& nexus);

  /// Makes a change to the persistent reservations: when it succeeds it is durable if it has to be, all nexuses have
  /// been told, and `preempted` names those that have lost their registrations to PREEMPT. One at a time; `change` is
  /// called when all before have ended.
  struct Changed {
    Completion completion;
    std::vector<NexusName> preempted = {};
  };
  using Change = std::function<ReservationResult(PersistentReservations&)>;
  io::Task<Changed> change(Change change);

  // --- For the logical unit ---

  /// `nexus` is among its nexuses now, and not yet used; is about to leave them; the unit was reset.
  void joined(ItlNexus& nexus);
  void leaves(const ItlNexus& nexus);
  void reset();

 private:
  io::Task<Changed> make(Change change);
  bool begin_change(PersistentReservations& next);
  io::Task<Result<void>> keep(const PersistentReservations& next);
  void end_change(PersistentReservations next, const ReservationEffects& effects);
  void end_change();
  void end_reserve();
  void tell_nexuses() const;
  void tell(ItlNexus& nexus) const;

  LogicalUnit& unit_;
  StateStore* const state_;
  const std::string key_;
  Turn turn_;
  std::string kept_;  // what was saved last, or nothing if that is not known; belongs to whoever has the turn

  mutable std::mutex mutex_;  // taken before that of the unit's nexuses
  bool changing_ = false;     // a change is on its way to the store
  PersistentReservations persistent_;
  const ItlNexus* reserved_by_ = nullptr;  // RESERVE
};

}  // namespace peerlane::target
