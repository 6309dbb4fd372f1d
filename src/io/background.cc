#include "io/background.h"

#include <cerrno>

namespace peerlane::io {

Background::~Background() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
}

void Background::add(Call& call) {
  bool another = false;
  {
    const std::scoped_lock lock(mutex_);
    queue_.push_back(&call);
    another = queue_.size() > idle_ && threads_.size() < most_threads_;
  }
  if (another) threads_.emplace_back([this] { serve(); });
  changed_.notify_one();
}

void Background::serve() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait(lock, [this] { return ending_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return;
    Call* const call = queue_.front();
    queue_.pop_front();
    lock.unlock();
    call->carry_out();
    lock.lock();
  }
}

void Background::Call::carry_out() {
  result_ = work();
  if (result_ == -1) result_ = -errno;
  // What is resumed may be gone with this call at once.
  home_.post([waiting = waiting_] { waiting.resume(); });
}

}  // namespace peerlane::io
