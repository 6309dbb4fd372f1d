#include "target/task_set.h"

#include <cassert>
#include <utility>

namespace peerlane::target {

TaskSet::Place::~Place() {
  leave();
}

TaskSet* TaskSet::Place::leave(scsi::Status status) {
  TaskSet* const set = std::exchange(set_, nullptr);
  if (set == nullptr) return nullptr;
  if (std::exchange(dormant_, false)) {
    set->remove_dormant(*this);
  } else {
    set->end(*this, status);
  }
  return set;
}

/// Only one command with the ACA attribute is executed at a time, and nothing else of this I_T nexus (SAM-5 §5.9.3).
TaskSet::Entrance TaskSet::enter_during_aca(TaskAttribute attribute) {
  if (!aca_) return Entrance::kNoAca;
  if (attribute != TaskAttribute::kAca || aca_command_) return Entrance::kAcaActive;
  aca_command_ = true;
  return Entrance::kEnabled;
}

void TaskSet::end(const Place& place, scsi::Status status) {
  --enabled_;
  exclusive_ -= exclusive(place.attribute_) ? 1u : 0u;
  const bool failed = status == scsi::Status::kCheckCondition;
  if (place.attribute_ == TaskAttribute::kAca) {
    aca_command_ = false;
    if (failed) aca_ = false;  // a failure ends the ACA that it was sent for (SAM-5 §5.9.4)...
  }
  if (failed && place.naca_) aca_ = true;  // ...and may establish one of its own
}

void TaskSet::advance() {
  while (first_ != nullptr && !aca_ && may_start(first_->attribute_)) {
    Place& place = *first_;
    first_ = place.next_;
    if (first_ == nullptr) last_ = nullptr;
    place.dormant_ = false;
    ++enabled_;
    exclusive_ += exclusive(place.attribute_) ? 1u : 0u;
    place.wake();
  }
}

void TaskSet::remove_dormant(const Place& place) {
  Place* before = nullptr;
  Place* at = first_;
  while (at != &place) {
    assert(at != nullptr);
    before = std::exchange(at, at->next_);
  }
  (before != nullptr ? before->next_ : first_) = place.next_;
  if (last_ == &place) last_ = before;
}

}  // namespace peerlane::target
