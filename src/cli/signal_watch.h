// A request to stop, noticed on a reactor.
#pragma once

#include <functional>

#include "block/descriptor_device.h"
#include "cli/stop_signals.h"
#include "io/event.h"
#include "io/reactor.h"

namespace peerlane::cli {

/// Calls a function when SIGTERM or SIGINT has come, once, until it is stopped. A second SIGINT ends the program.
class SignalWatch {
 public:
  SignalWatch(const StopSignals& signals, std::function<void()> stop)
      : signals_(signals), stop_(std::move(stop)), fd_(signals.descriptor()) {}

  /// Runs until the signal or stop(); spawned on the reactor.
  io::Task<void> run();
  io::Task<void> stop();

 private:
  const StopSignals& signals_;
  const std::function<void()> stop_;
  const block::Descriptor fd_;
  io::Reactor::Call* pending_ = nullptr;
  io::Gate running_;
};

}  // namespace peerlane::cli
