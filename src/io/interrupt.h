// Ends what somebody waits for before its time: who closes a session does not want to wait until a silent host has been
// given up. Not thread-safe; everything happens on one reactor.
#pragma once

#include <cassert>
#include <functional>
#include <utility>

namespace peerlane::io {

/// Belongs to who may want the end, and is handed to what may take long. Once raised it stays so.
class Interrupt {
 public:
  Interrupt() = default;
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt() { assert(!action_); }

  bool raised() const { return raised_; }

  /// What waits under this ends soon, and nothing new begins.
  void raise() {
    raised_ = true;
    if (action_) action_();
  }

  /// As long as it lives, a wait that can be ended: by `action`, which raise() calls, or at once if that has happened.
  /// One at a time. `interrupt` may be null, and outlives this.
  class Scope {
   public:
    Scope(Interrupt* interrupt, std::function<void()> action) : interrupt_(interrupt) {
      if (interrupt_ == nullptr) return;
      assert(!interrupt_->action_);
      if (interrupt_->raised_) action();
      interrupt_->action_ = std::move(action);
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
    ~Scope() {
      if (interrupt_ != nullptr) interrupt_->action_ = nullptr;
    }

   private:
    Interrupt* interrupt_;
  };

 private:
  bool raised_ = false;
  std::function<void()> action_;
};

}  // namespace peerlane::io
