// For tests: an executor that does what is posted to it, and lets time pass, when the test says so.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "io/executor.h"

namespace peerlane::target::testing {

class ManualExecutor final : public io::Executor {
 public:
  /// Does one thing: what was posted first, or else what the timer says that expires next, when its time has come.
  /// False if there is nothing to do, now or ever.
  bool run_one() {
    if (!posted_.empty()) {
      const std::function<void()> work = std::move(posted_.front());
      posted_.pop_front();
      work();
      return true;
    }
    const auto next = std::ranges::min_element(timers_, {}, [](const io::Timer* timer) { return timer->when(); });
    if (next == timers_.end()) return false;
    io::Timer& timer = **next;
    timers_.erase(next);
    now_ = std::max(now_, timer.when());
    timer.fire();
    return true;
  }
  void run_all() {
    while (run_one()) {
    }
  }

  /// How often something was posted: coroutines that gave way to others.
  unsigned posts() const { return posts_; }

  io::TimePoint now() const override { return now_; }
  void post(std::function<void()> work) override {
    ++posts_;
    posted_.push_back(std::move(work));
  }
  void defer(io::Deferred&) override {}
  bool here() const override { return true; }
  void arm(io::Timer& timer) override { timers_.push_back(&timer); }
  void disarm(io::Timer& timer) override { std::erase(timers_, &timer); }

 private:
  io::TimePoint now_{};
  unsigned posts_ = 0;
  std::deque<std::function<void()>> posted_;
  std::vector<io::Timer*> timers_;
};

/// The one that FakeCommands run on.
inline ManualExecutor& executor() {
  static ManualExecutor the_executor;
  return the_executor;
}

}  // namespace peerlane::target::testing
