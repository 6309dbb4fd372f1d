// Who may access which bytes of a disk at the same time: reads and writes share, and what has to read, decide and write
// as one (COMPARE AND WRITE, ORWRITE, WRITE ATOMIC, SANITIZE; SBC-4 §5.3, §5.11, §4.29) has its range for itself.
//
//     RangeLock::Pass pass(lock, RangeLock::Mode::kShared, offset, length);
//     while (!pass.granted()) ...let others run...
//     ...access the disk...                                              // until the pass goes out of scope
//
// While nobody asks for a range of his own, a pass costs its thread a store to a counter that no other thread writes,
// and a look at one that nobody changes: no locked instruction, which would wait for the data of a write to leave the
// processor. As soon as somebody does, all passes queue up in the order in which
// they come, and each waits for those before it that overlap it, if either wants the range for itself; nobody starves.
//
// Thread-safe. A pass is held around accesses to the disk only, never while an initiator is waited for, so each is let
// go of as soon as the disk answers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>

#include "base/asymmetric_fence.h"

namespace peerlane::target {

class RangeLock {
 public:
  enum class Mode : std::uint8_t { kShared, kExclusive };

  /// Belongs to one thread. Must not outlive its lock.
  class Pass {
   public:
    /// Asks for the `length` bytes from `offset` on.
    Pass(RangeLock& lock, Mode mode, std::uint64_t offset, std::uint64_t length)
        : lock_(lock), mode_(mode), offset_(offset), length_(length) {
      if (mode == Mode::kExclusive || !enter_at_once()) lock_.enlist(*this);
    }
    Pass(const Pass&) = delete;
    Pass& operator=(const Pass&) = delete;
    /// Lets go of the range, or stops waiting for it.
    ~Pass() {
      if (slot_ != nullptr) {
        slot_->store(slot_->load(std::memory_order_relaxed) - 1, std::memory_order_release);
      } else {
        lock_.leave(*this);
      }
    }

    /// Whether the range may be accessed now; once true, it stays so.
    bool granted() { return granted_ || lock_.grant(*this); }

   private:
    friend class RangeLock;
    bool enter_at_once();

    RangeLock& lock_;
    const Mode mode_;
    bool granted_ = false;
    const std::uint64_t offset_;
    const std::uint64_t length_;
    std::atomic<std::uint32_t>* slot_ = nullptr;  // where it is counted, if it is not in the queue
    Pass* next_ = nullptr;
    Pass* previous_ = nullptr;
  };

  RangeLock() = default;
  RangeLock(const RangeLock&) = delete;
  RangeLock& operator=(const RangeLock&) = delete;

 private:
  static constexpr std::size_t kSlots = 128;  // the passes of threads beyond this many queue up, always
  struct alignas(64) Slot {
    std::atomic<std::uint32_t> inside{0};
  };

  class ThreadNumber;
  static std::size_t own_slot();
  void enlist(Pass& pass);
  void leave(Pass& pass);
  bool grant(Pass& pass);

  std::array<Slot, kSlots> slots_;                  // passes that were let in at once
  alignas(64) std::atomic<unsigned> exclusive_{0};  // exclusive passes in the queue
  std::mutex mutex_;
  Pass* first_ = nullptr;
  Pass* last_ = nullptr;
};

// Either this sees that somebody wants a range for himself, or he sees that this is inside: both write first and then
// look, with a fence between.
inline bool RangeLock::Pass::enter_at_once() {
  const std::size_t own = own_slot();
  if (own == kSlots) return false;
  std::atomic<std::uint32_t>& inside = lock_.slots_[own].inside;
  const std::uint32_t before = inside.load(std::memory_order_relaxed);
  inside.store(before + 1, std::memory_order_relaxed);
  light_fence();
  if (lock_.exclusive_.load(std::memory_order_acquire) != 0) {
    inside.store(before, std::memory_order_release);
    return false;
  }
  slot_ = &inside;
  granted_ = true;
  return true;
}

}  // namespace peerlane::target
