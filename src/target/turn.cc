#include "target/turn.h"

#include "io/event.h"
#include "io/reactor.h"

namespace peerlane::target {

/// In the frame of the one who waits.
struct Turn::Waiter {
  io::Executor& home;
  io::Event come;
};

io::Task<void> Turn::take() {
  std::unique_lock lock(mutex_);
  if (!taken_) {
    taken_ = true;
    co_return;
  }
  Waiter waiter{io::Reactor::current(), {}};
  waiters_.push_back(&waiter);
  lock.unlock();
  co_await waiter.come;
}

void Turn::give() {
  const std::lock_guard lock(mutex_);
  if (waiters_.empty()) {
    taken_ = false;
    return;
  }
  Waiter* const next = waiters_.front();
  waiters_.pop_front();
  next->home.post([next] { next->come.set(); });
}

}  // namespace peerlane::target
