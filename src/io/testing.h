// For tests: a reactor that runs one task to its end.
#pragma once

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

}  // namespace peerlane::io::testing
