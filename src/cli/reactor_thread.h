// A thread with a reactor of its own, for commands that work on several processors.
#pragma once

#include <memory>
#include <thread>

#include "base/error.h"
#include "io/reactor.h"

namespace peerlane::cli {

class ReactorThread {
 public:
  /// Starts it. Errors: the reactor's.
  static Result<std::unique_ptr<ReactorThread>> start();
  /// Ends it; nothing is under way on its reactor any more.
  ~ReactorThread();
  ReactorThread(const ReactorThread&) = delete;
  ReactorThread& operator=(const ReactorThread&) = delete;

  io::Reactor& reactor() { return *reactor_; }

 private:
  ReactorThread() = default;

  io::Reactor* reactor_ = nullptr;  // lives on the thread
  std::jthread thread_;
};

}  // namespace peerlane::cli
