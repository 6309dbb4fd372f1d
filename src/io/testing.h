// For tests: a reactor that runs one task to its end, and waiting for what is to happen.
#pragma once

#include <chrono>
#include <utility>

#include "io/reactor.h"

namespace peerlane::io::testing {

inline Task<void> run_and_stop(Reactor& reactor, Task<void> task) {
  co_await std::move(task);
  reactor.stop();
}

/// Runs `task`, which must have been made on this thread, until it ends.
inline void run(Reactor& reactor, Task<void> task) {
  spawn(run_and_stop(reactor, std::move(task)));
  reactor.run();
}

/// Waits until `holds()` says so, and looks each millisecond: for half a minute at most. Whether it does. What a test
/// expects to happen is waited for so and not by a sleep, since a loaded machine stops for seconds.
template <typename Condition>
Task<bool> until(Condition holds) {
  const TimePoint end = Clock::now() + std::chrono::seconds(30);
  bool held = holds();
  while (!held && Clock::now() < end) {
    co_await sleep(Reactor::current(), std::chrono::milliseconds(1));
    held = holds();
  }
  co_return held;
}

}  // namespace peerlane::io::testing
