// One at a time, for coroutines of several reactors: whoever wants to do something that takes a while, such as writing
// to a disk, and must not be overtaken, takes a turn.
#pragma once

#include <deque>
#include <mutex>

#include "io/task.h"

namespace peerlane::target {

/// Thread-safe. Outlives all who wait.
class Turn {
 public:
  /// Waits until it is the caller's turn, in the order of the calls. give() must follow. On a reactor, if it has to
  /// wait.
  io::Task<void> take();

  /// Lets the next one have it. On any thread.
  void give();

 private:
  struct Waiter;

  std::mutex mutex_;
  bool taken_ = false;
  std::deque<Waiter*> waiters_;
};

}  // namespace peerlane::target
