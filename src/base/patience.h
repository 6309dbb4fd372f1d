// Waiting a moment for what a predecessor still holds.
//
// When a process is killed, the sockets and files that its io_uring works on stay open until the kernel has taken the
// ring apart, and the disk has done what was under way: some milliseconds after the process itself is gone, seconds on
// a busy machine. Who starts again at once must not fail over that.
#pragma once

#include <chrono>
#include <string_view>
#include <thread>

#include "base/limits.h"
#include "base/log.h"

namespace peerlane {

/// Calls `attempt` until it returns true, for as long as `patience` at most; whether it did. `what` is waited for, in
/// the log. It sleeps between attempts: for start-up only, never on a reactor.
template <typename Attempt>
bool outlast_predecessor(std::string_view what, std::chrono::seconds patience, Attempt attempt) {
  const auto begin = std::chrono::steady_clock::now();
  bool said = false;
  while (!attempt()) {
    const auto waited = std::chrono::steady_clock::now() - begin;
    if (waited >= patience) return false;
    if (!said && waited >= limits::kPredecessorNotice) {
      said = true;
      log::info("{} is in use: waiting up to {} s for whoever has it to end", what, patience.count());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace peerlane
