#include "target/range_lock.h"

#include <algorithm>
#include <bitset>

namespace peerlane::target {

/// The lowest number that no other living thread has; kSlots if all are taken.
class RangeLock::ThreadNumber {
 public:
  ThreadNumber() {
    const std::lock_guard lock(mutex_);
    while (value_ < kSlots && taken_[value_]) ++value_;
    if (value_ < kSlots) taken_[value_] = true;
  }
  ~ThreadNumber() {
    const std::lock_guard lock(mutex_);
    if (value_ < kSlots) taken_[value_] = false;
  }
  ThreadNumber(const ThreadNumber&) = delete;
  ThreadNumber& operator=(const ThreadNumber&) = delete;

  std::size_t value() const { return value_; }

 private:
  static inline std::mutex mutex_;
  static inline std::bitset<kSlots> taken_;
  std::size_t value_ = 0;
};

std::size_t RangeLock::own_slot() {
  thread_local const ThreadNumber number;
  return number.value();
}

void RangeLock::enlist(Pass& pass) {
  const std::lock_guard lock(mutex_);
  pass.previous_ = last_;
  (last_ != nullptr ? last_->next_ : first_) = &pass;
  last_ = &pass;
  if (pass.mode_ == Mode::kExclusive) {
    exclusive_.fetch_add(1, std::memory_order_relaxed);
    heavy_fence();
  }
}

void RangeLock::leave(Pass& pass) {
  const std::lock_guard lock(mutex_);
  (pass.previous_ != nullptr ? pass.previous_->next_ : first_) = pass.next_;
  (pass.next_ != nullptr ? pass.next_->previous_ : last_) = pass.previous_;
  if (pass.mode_ == Mode::kExclusive) exclusive_.fetch_sub(1, std::memory_order_release);
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
  const auto occupied = [](const Slot& slot) { return slot.inside.load(std::memory_order_acquire) != 0; };
  if (pass.mode_ == Mode::kExclusive && std::ranges::any_of(slots_, occupied)) return false;
  pass.granted_ = true;
  return true;
}

}  // namespace peerlane::target
