// Something that one task at a time may do, across waits and reactors, where a mutex cannot be held: changing saved
// parameters. Nobody waits for it: who comes second is told to come again (BUSY).
#pragma once

#include <atomic>
#include <optional>
#include <utility>

namespace peerlane::target {

/// Thread-safe; outlives its holders.
class Exclusive {
 public:
  class Holder {
   public:
    Holder(Holder&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
    Holder& operator=(Holder&&) = delete;
    ~Holder() {
      if (owner_ != nullptr) owner_->taken_.store(false, std::memory_order_release);
    }

   private:
    friend class Exclusive;
    explicit Holder(Exclusive& owner) : owner_(&owner) {}
    Exclusive* owner_;
  };

  /// Nothing if somebody has it.
  std::optional<Holder> take() {
    if (taken_.exchange(true, std::memory_order_acquire)) return std::nullopt;
    return Holder(*this);
  }

 private:
  std::atomic<bool> taken_{false};
};

}  // namespace peerlane::target
