// A task set (SAM-5 §8): the commands of one I_T_L nexus between their arrival and their end, in the order that their
// task attributes ask for, and the auto contingent allegiance that may hold them back (ACA, SAM-5 §5.9). Each I_T nexus
// has a task set of its own in a logical unit (TST is 001b in the control mode page), so nothing here is shared between
// sessions.
//
//     switch (set.enter(command.place(), attribute, naca)) { ... }     // on arrival: now, later or not at all
//     co_await command.place().turn()                                  // where it said kDormant
//     command.place().leave(status)->advance();                        // when it has ended
//
// Everything happens on the reactor of the session.
#pragma once

#include <cstdint>

#include "io/event.h"
#include "scsi/sense.h"

namespace peerlane::target {

/// SAM-5 §8.6, with the values of RFC 7143 §11.3.1. Untagged commands are treated as SIMPLE.
enum class TaskAttribute : std::uint8_t { kUntagged = 0, kSimple = 1, kOrdered = 2, kHeadOfQueue = 3, kAca = 4 };

class TaskSet {
 public:
  /// What is to become of a command that arrives.
  enum class Entrance : std::uint8_t {
    kEnabled,    // it may be executed now
    kDormant,    // it has to wait for its turn
    kAcaActive,  // it ends with ACA ACTIVE status
    kNoAca,      // it has the ACA attribute, but there is no ACA: INVALID MESSAGE ERROR
  };

  /// A command's place in its task set. Not in one until it entered; it has left before its set goes.
  class Place {
   public:
    Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place();

    bool dormant() const { return dormant_; }
    /// To be awaited while dormant: ends when it is enabled, or when wake() says to look again.
    io::Event& turn() { return turn_; }
    void wake() { turn_.wake_all(); }
    /// The command has ended with `status`, or was aborted: it leaves its set, which is returned, and whose advance()
    /// must follow. Null if it was in none.
    TaskSet* leave(scsi::Status status = scsi::Status::kTaskAborted);

   private:
    friend class TaskSet;
    TaskSet* set_ = nullptr;
    Place* next_ = nullptr;  // of those that are dormant
    TaskAttribute attribute_ = TaskAttribute::kSimple;
    bool naca_ = false;
    bool dormant_ = false;
    io::Event turn_;
  };

  TaskSet() = default;
  TaskSet(const TaskSet&) = delete;
  TaskSet& operator=(const TaskSet&) = delete;

  /// A command arrives. `naca` is the NACA bit of its CDB: whether CHECK CONDITION is to establish an ACA.
  Entrance enter(Place& place, TaskAttribute attribute, bool naca);

  /// Enables what may be executed now, in the order of arrival; each is resumed from within.
  void advance();

  /// The ACA ends (CLEAR ACA, a reset). advance() must follow.
  void clear_aca() { aca_ = false; }
  bool aca() const { return aca_; }

 private:
  static bool exclusive(TaskAttribute attribute) {
    return attribute == TaskAttribute::kOrdered || attribute == TaskAttribute::kHeadOfQueue;
  }
  bool may_start(TaskAttribute attribute) const;
  void end(const Place& place, scsi::Status status);
  Entrance enter_during_aca(TaskAttribute attribute);
  void remove_dormant(const Place& place);

  unsigned enabled_ = 0;    // commands that are being executed
  unsigned exclusive_ = 0;  // of these, ORDERED and HEAD OF QUEUE
  bool aca_ = false;
  bool aca_command_ = false;  // a command with the ACA attribute is being executed
  Place* first_ = nullptr;    // dormant commands, oldest first
  Place* last_ = nullptr;
};

inline TaskSet::Entrance TaskSet::enter(Place& place, TaskAttribute attribute, bool naca) {
  if (aca_ || attribute == TaskAttribute::kAca) [[unlikely]] {
    if (const Entrance entrance = enter_during_aca(attribute); entrance != Entrance::kEnabled) return entrance;
  }
  place.set_ = this;
  place.attribute_ = attribute;
  place.naca_ = naca;
  const bool starts = attribute == TaskAttribute::kHeadOfQueue || attribute == TaskAttribute::kAca ||
                      (first_ == nullptr && may_start(attribute));
  if (starts) [[likely]] {
    ++enabled_;
    exclusive_ += exclusive(attribute) ? 1u : 0u;
    return Entrance::kEnabled;
  }
  place.dormant_ = true;
  place.next_ = nullptr;
  (last_ != nullptr ? last_->next_ : first_) = &place;
  last_ = &place;
  return Entrance::kDormant;
}

/// SIMPLE waits for what is ORDERED or HEAD OF QUEUE and older, ORDERED for everything older (SAM-5 §8.6). Commands
/// start in the order in which they came, so what is being executed is older.
inline bool TaskSet::may_start(TaskAttribute attribute) const {
  return attribute == TaskAttribute::kOrdered ? enabled_ == 0 : exclusive_ == 0;
}

}  // namespace peerlane::target
