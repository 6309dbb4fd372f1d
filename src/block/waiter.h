// Coroutines of different reactors that wait for the same thing. Each is resumed on its own reactor, in a later round
// of that reactor's loop.
#pragma once

#include <coroutine>
#include <cstdint>
#include <mutex>
#include <utility>

#include "io/reactor.h"

namespace peerlane::block {

/// One who waits. Lies in the waiting coroutine's frame.
struct Waiter {
  std::coroutine_handle<> handle;
  io::Reactor* home = nullptr;
  Waiter* next = nullptr;

  /// Called by the coroutine that is about to wait, before it joins a list.
  void wait_here(std::coroutine_handle<> waiting) {
    handle = waiting;
    home = &io::Reactor::current();
    next = nullptr;
  }
};

/// Those who wait. Not thread-safe: guarded by whoever owns the list, who takes it under his lock and wakes it when he
/// has let go of that.
class WaiterList {
 public:
  WaiterList() = default;
  WaiterList(const WaiterList&) = delete;
  WaiterList& operator=(const WaiterList&) = delete;
  ~WaiterList() = default;

  bool empty() const { return first_ == nullptr; }

  void add(Waiter& waiter) {
    (last_ != nullptr ? last_->next : first_) = &waiter;
    last_ = &waiter;
  }

  /// Takes those who wait in `other` as well.
  void append(WaiterList& other) {
    if (other.empty()) return;
    (last_ != nullptr ? last_->next : first_) = other.first_;
    last_ = std::exchange(other.last_, nullptr);
    other.first_ = nullptr;
  }

  /// Resumes all, each on its reactor.
  void wake_all() {
    Waiter* waiter = std::exchange(first_, nullptr);
    last_ = nullptr;
    while (waiter != nullptr) {
      Waiter* const next = waiter->next;  // the waiter lies in a frame that may be gone once it is posted
      waiter->home->post([handle = waiter->handle] { handle.resume(); });
      waiter = next;
    }
  }

 private:
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

/// Awaited: until `ready()`, which is asked under `mutex`, or until `waiters`, which it guards too, are woken: look
/// again.
template <typename Ready>
struct Change {
  std::mutex& mutex;
  WaiterList& waiters;
  Ready ready;
  Waiter waiter{};

  Change(std::mutex& guard, WaiterList& list, Ready condition)
      : mutex(guard), waiters(list), ready(std::move(condition)) {}
  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiting) {
    const std::lock_guard lock(mutex);
    if (ready()) return false;
    waiter.wait_here(waiting);
    waiters.add(waiter);
    return true;
  }
  void await_resume() const noexcept {}
};

/// Counts what is under way on all reactors, so that an owner can wait until all of it has ended.
class SharedGate {
 public:
  SharedGate() = default;
  SharedGate(const SharedGate&) = delete;
  SharedGate& operator=(const SharedGate&) = delete;

  /// False: as many are inside as may be.
  bool enter(unsigned most = UINT32_MAX) {
    const std::lock_guard lock(mutex_);
    if (inside_ >= most) return false;
    ++inside_;
    return true;
  }
  void leave() {
    WaiterList waiters;
    {
      const std::lock_guard lock(mutex_);
      if (--inside_ == 0) waiters.append(waiters_);
      // Under the lock still: once it is free, the one who waits may end the gate.
      waiters.wake_all();
    }
  }

  /// Waits until nobody is inside.
  io::Task<void> drained() {
    const auto empty = [this] { return inside_ == 0; };
    Change change(mutex_, waiters_, empty);
    co_await change;
  }

 private:
  std::mutex mutex_;
  unsigned inside_ = 0;
  WaiterList waiters_;
};

}  // namespace peerlane::block
