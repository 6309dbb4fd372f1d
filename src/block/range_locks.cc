#include "block/range_locks.h"

#include <cassert>

namespace peerlane::block {

RangeLocks::Hold::Hold(RangeLocks& locks, std::uint64_t first, std::uint64_t end, RangeUse use)
    : locks_(locks), first_(first), end_(end), use_(use) {
  locks_.ask(*this);
}

bool RangeLocks::Hold::conflicts_with(const Hold& other) const {
  if (first_ >= other.end_ || other.first_ >= end_) return false;
  if (use_ == RangeUse::kCached) return other.use_ == RangeUse::kDevice;
  if (other.use_ == RangeUse::kCached) return use_ == RangeUse::kDevice;
  return true;
}

RangeLocks::~RangeLocks() {
  assert(first_ == nullptr);
}

void RangeLocks::ask(Hold& hold) {
  const std::lock_guard lock(mutex_);
  hold.previous_ = last_;
  (last_ != nullptr ? last_->next_ : first_) = &hold;
  last_ = &hold;
  hold.granted_ = may_go(hold);
  if (!hold.granted_) ++waiting_;
}

/// Nobody who came earlier is in the way, whether he has been let in or waits himself: so nobody is overtaken for ever.
bool RangeLocks::may_go(const Hold& hold) const {
  for (const Hold* earlier = first_; earlier != &hold; earlier = earlier->next_) {
    if (hold.conflicts_with(*earlier)) return false;
  }
  return true;
}

bool RangeLocks::is_granted(const Hold& hold) {
  const std::lock_guard lock(mutex_);
  return hold.granted_;
}

bool RangeLocks::suspend(Hold& hold, std::coroutine_handle<> waiting) {
  const std::lock_guard lock(mutex_);
  if (hold.granted_) return false;
  hold.waiter_.wait_here(waiting);
  hold.suspended_ = true;
  return true;
}

void RangeLocks::release(Hold& hold) {
  WaiterList granted;
  {
    const std::lock_guard lock(mutex_);
    Hold* const behind = hold.next_;
    unlink(hold);
    if (!hold.granted_) --waiting_;
    for (Hold* later = behind; waiting_ != 0 && later != nullptr; later = later->next_) {
      if (later->granted_ || !may_go(*later)) continue;
      later->granted_ = true;
      --waiting_;
      if (later->suspended_) granted.add(later->waiter_);
    }
  }
  granted.wake_all();
}

void RangeLocks::unlink(Hold& hold) {
  (hold.previous_ != nullptr ? hold.previous_->next_ : first_) = hold.next_;
  (hold.next_ != nullptr ? hold.next_->previous_ : last_) = hold.previous_;
}

}  // namespace peerlane::block
