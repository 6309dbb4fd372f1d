#include "target/background.h"

namespace peerlane::target {

std::optional<Background::Pass> Background::enter() {
  const std::lock_guard lock(mutex_);
  if (stopping_.load(std::memory_order_relaxed)) return std::nullopt;
  ++inside_;
  return Pass(*this);
}

bool Background::stop(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  stopping_.store(true, std::memory_order_relaxed);
  return ended_.wait_until(lock, deadline, [this] { return inside_ == 0; });
}

void Background::leave() {
  // Told while the mutex is held: whoever waits may destroy this as soon as he has it.
  const std::lock_guard lock(mutex_);
  if (--inside_ == 0) ended_.notify_all();
}

}  // namespace peerlane::target
