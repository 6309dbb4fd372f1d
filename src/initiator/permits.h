// A number of permits, taken and returned by coroutines of one reactor, in the order in which they ask.
#pragma once

#include <cassert>
#include <coroutine>

#include "io/executor.h"

namespace peerlane::initiator {

/// Never allocates. Must outlive those who wait.
class Permits final : private io::Deferred {
 public:
  Permits(io::Executor& executor, unsigned count) : executor_(executor), free_(count) {}
  ~Permits() override { assert(first_ == nullptr); }

  /// `co_await permits.take()`: waits its turn for one; give() must follow.
  auto take() { return Waiter{*this, {}, nullptr}; }

  void give() {
    ++free_;
    // Not from here: those who wait might give theirs back at once, and so on, deeper and deeper.
    if (first_ != nullptr) executor_.defer(*this);
  }

 private:
  struct Waiter {
    Permits& permits;
    std::coroutine_handle<> handle;
    Waiter* next;

    bool await_ready() const {
      if (permits.first_ != nullptr || permits.free_ == 0) return false;
      --permits.free_;
      return true;
    }
    void await_suspend(std::coroutine_handle<> waiting) {
      handle = waiting;
      (permits.last_ != nullptr ? permits.last_->next : permits.first_) = this;
      permits.last_ = this;
    }
    void await_resume() const noexcept {}
  };

  void run_deferred() override {
    while (free_ != 0 && first_ != nullptr) {
      Waiter& waiter = *first_;
      first_ = waiter.next;
      if (first_ == nullptr) last_ = nullptr;
      --free_;
      waiter.handle.resume();
    }
  }

  io::Executor& executor_;
  unsigned free_;
  Waiter* first_ = nullptr;
  Waiter* last_ = nullptr;
};

}  // namespace peerlane::initiator
