#include "target/range_lock.h"

#include <algorithm>

namespace peerlane::target {

std::size_t RangeLock::own_slot() {
  static std::atomic<std::size_t> threads{0};
  thread_local const std::size_t slot = threads.fetch_add(1, std::memory_order_relaxed) % kSlots;
  return slot;
}

void RangeLock::enlist(Pass& pass) {
  const std::lock_guard lock(mutex_);
  pass.previous_ = last_;
  (last_ != nullptr ? last_->next_ : first_) = &pass;
  last_ = &pass;
  if (pass.mode_ == Mode::kExclusive) exclusive_.fetch_add(1, std::memory_order_seq_cst);
}

void RangeLock::leave(Pass& pass) {
  const std::lock_guard lock(mutex_);
  (pass.previous_ != nullptr ? pass.previous_->next_ : first_) = pass.next_;
  (pass.next_ != nullptr ? pass.next_->previous_ : last_) = pass.previous_;
  if (pass.mode_ == Mode::kExclusive) exclusive_.fetch_sub(1, std::memory_order_seq_cst);
}

bool RangeLock::grant(Pass& pass) {
  const auto conflicts = [&pass](const Pass& earlier) {
    if (pass.mode_ == Mode::kShared && earlier.mode_ == Mode::kShared) return false;
    // Written so that the end of a range need not be representable.
    return earlier.offset_ <= pass.offset_ ? pass.offset_ - earlier.offset_ < earlier.length_
                                           : earlier.offset_ - pass.offset_ < pass.length_;
  };
  const std::lock_guard lock(mutex_);
  for (const Pass* earlier = first_; earlier != &pass; earlier = earlier->next_) {
    if (conflicts(*earlier)) return false;
  }
  // Those that were let in before this pass was in the queue are not in it: all of them have to leave first, wherever
  // they are on the disk. No further one is let in while this waits.
  const auto occupied = [](const Slot& slot) { return slot.inside.load(std::memory_order_seq_cst) != 0; };
  if (pass.mode_ == Mode::kExclusive && std::ranges::any_of(slots_, occupied)) return false;
  pass.granted_ = true;
  return true;
}

}  // namespace peerlane::target
