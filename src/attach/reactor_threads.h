// Threads with a reactor each, for who is not on one: a main thread that starts them, has work done there, and ends
// them.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/error.h"
#include "io/reactor.h"
#include "io/task.h"

namespace peerlane::attach {

class ReactorThreads {
 public:
  /// Starts `count` threads. Signals that the caller blocks are blocked there. Errors: as Reactor::create().
  static Result<std::unique_ptr<ReactorThreads>> start(unsigned count);
  /// Ends the threads. What was under way on their reactors has ended.
  ~ReactorThreads();
  ReactorThreads(const ReactorThreads&) = delete;
  ReactorThreads& operator=(const ReactorThreads&) = delete;

  std::size_t count() const { return threads_.size(); }
  io::Reactor& reactor(std::size_t index) const { return *threads_[index].reactor; }

  /// Runs `make()`'s task on a reactor, and waits until it has ended. Not from one of these threads.
  void run(std::size_t index, const std::function<io::Task<void>()>& make) const;

 private:
  struct Thread {
    std::thread thread;
    io::Reactor* reactor = nullptr;
  };

  ReactorThreads() = default;

  std::vector<Thread> threads_;
};

}  // namespace peerlane::attach
