// Small things that coroutines of one reactor wait on: Event, Gate. Not thread-safe; everything happens on one reactor.
#pragma once

#include <cassert>
#include <coroutine>
#include <utility>

namespace peerlane::io {

/// A flag that coroutines wait for. Stays set until `reset`. Waiters are resumed in the order in which they came, from
/// within `set`. Owned by whoever declares it; must outlive its waiters.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { assert(first_ == nullptr); }

  bool is_set() const { return set_; }
  void reset() { set_ = false; }

  /// Sets the flag and resumes all who wait now.
  void set() {
    set_ = true;
    wake_all();
  }

  /// Resumes all who wait now, without setting the flag: "look again".
  void wake_all() {
    Waiter* waiter = std::exchange(first_, nullptr);
    last_ = nullptr;
    while (waiter != nullptr) {
      Waiter* const next = waiter->next;  // the waiter lies in a frame that may be gone after resume
      waiter->handle.resume();
      waiter = next;
    }
  }

  auto operator co_await() noexcept { return Waiter{*this, nullptr, nullptr}; }

 private:
  struct Waiter {
    Event& event;
    std::coroutine_handle<> handle;
    Waiter* next;

    bool await_ready() const noexcept { return event.set_; }
    void await_suspend(std::coroutine_handle<> waiting) noexcept {
      handle = waiting;
      if (event.last_ != nullptr) {
        event.last_->next = this;
      } else {
        event.first_ = this;
      }
      event.last_ = this;
    }
    void await_resume() const noexcept {}
  };

  bool set_ = false;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

/// Counts what is under way, so that an owner can wait until all of it has ended.
///
///     { const io::Gate::Pass pass(gate); ... }        // in a detached task
///     co_await gate.drained();                        // in the owner, before it goes
class Gate {
 public:
  class Pass {
   public:
    explicit Pass(Gate& gate) : gate_(&gate) { ++gate_->inside_; }
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    Pass& operator=(Pass&&) = delete;
    ~Pass() {
      if (gate_ != nullptr && --gate_->inside_ == 0) gate_->empty_.wake_all();
    }

   private:
    Gate* gate_;
  };

  unsigned inside() const { return inside_; }

  /// Waits until nobody is inside. `Gate` must not be destroyed from within the last pass's scope.
  auto drained() noexcept {
    struct Awaiter {
      Gate& gate;
      decltype(std::declval<Event&>().operator co_await()) inner;
      bool await_ready() const noexcept { return gate.inside_ == 0; }
      void await_suspend(std::coroutine_handle<> waiting) noexcept { inner.await_suspend(waiting); }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this, empty_.operator co_await()};
  }

 private:
  unsigned inside_ = 0;
  Event empty_;
};

}  // namespace peerlane::io
