// What code above sockets and files needs of the reactor that runs it: time, timers, and a way in from other threads.
// The reactor implements it; a simulation implements it with a virtual clock.
#pragma once

#include <chrono>
#include <coroutine>
#include <functional>

#include "io/task.h"

namespace peerlane::io {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using Duration = Clock::duration;

class DeferredQueue;

/// Something to be done at the end of the current round of the event loop, once however often it was asked for. Leaves
/// the queue by itself when it is destroyed.
class Deferred {
 public:
  Deferred() = default;
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
  virtual ~Deferred();
  virtual void run_deferred() = 0;

 private:
  friend class DeferredQueue;
  DeferredQueue* queue_ = nullptr;
  Deferred* next_ = nullptr;
  Deferred* previous_ = nullptr;
};

/// The Deferreds of one round, in the order in which they came.
class DeferredQueue {
 public:
  void add(Deferred& deferred);
  void remove(Deferred& deferred);
  void run();

 private:
  Deferred* first_ = nullptr;
  Deferred* last_ = nullptr;
};

class Timer;

class Executor {
 public:
  virtual ~Executor() = default;

  /// The time of this round of the event loop.
  virtual TimePoint now() const = 0;

  /// Runs `work` on this executor's thread, in a later round. The one call that any thread may make.
  virtual void post(std::function<void()> work) = 0;

  /// Runs `deferred` at the end of this round.
  virtual void defer(Deferred& deferred) = 0;

  /// Whether the calling thread is this executor's.
  virtual bool here() const = 0;

 protected:
  friend class Timer;
  virtual void arm(Timer& timer) = 0;
  virtual void disarm(Timer& timer) = 0;
};

/// A point in time at which something is called, on the executor. Disarmed when destroyed.
class Timer {
 public:
  /// Calls `expired` on `executor` each time the timer, once armed, runs out.
  Timer(Executor& executor, std::function<void()> expired) : executor_(executor), expired_(std::move(expired)) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { disarm(); }

  /// Expires once, at `when`; an earlier arming is replaced.
  void arm_at(TimePoint when) {
    disarm();
    when_ = when;
    armed_ = true;
    executor_.arm(*this);
  }
  void arm_after(Duration delay) { arm_at(executor_.now() + delay); }
  void disarm() {
    if (!armed_) return;
    armed_ = false;
    executor_.disarm(*this);
  }
  bool armed() const { return armed_; }

  /// For executors: when it runs out, and what to do then.
  TimePoint when() const { return when_; }
  void fire() {
    armed_ = false;
    expired_();
  }

 private:
  Executor& executor_;
  std::function<void()> expired_;
  TimePoint when_{};
  bool armed_ = false;
};

/// Lets everything else that is ready on `executor`, which is the caller's, have its turn first: `co_await yield(...)`.
inline auto yield(Executor& executor) {
  struct Awaiter {
    Executor& executor;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> waiting) const {
      executor.post([waiting] { waiting.resume(); });
    }
    void await_resume() const noexcept {}
  };
  return Awaiter{executor};
}

/// Waits until `delay` has passed.
Task<void> sleep(Executor& executor, Duration delay);

/// Runs `make()`'s task on `other` and waits here, on `home`, until it has ended. Neither may end before.
Task<void> run_on(Executor& home, Executor& other, std::function<Task<void>()> make);

}  // namespace peerlane::io
