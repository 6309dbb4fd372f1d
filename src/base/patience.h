// Waiting a moment for what a predecessor still holds.
//
// When a process is killed, the sockets and files that its io_uring works on stay open until the kernel has taken the
// ring apart: some milliseconds after the process itself is gone. Who starts again at once must not fail over that.
#pragma once

#include <chrono>
#include <thread>

#include "base/limits.h"

namespace peerlane {

/// Calls `attempt` until it returns true, for kPredecessorWait at most; whether it did. It sleeps between attempts: for
/// start-up only, never on a reactor.
template <typename Attempt>
bool outlast_predecessor(Attempt attempt) {
  const auto deadline = std::chrono::steady_clock::now() + limits::kPredecessorWait;
  while (!attempt()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace peerlane
