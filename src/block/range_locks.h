// Which ranges of a disk are being changed, so that changes which overlap come one after the other, in the order in
// which they were asked for. Without that a cache and the device below it could end up with the data of different ones.
//
// Thread-safe; coroutines of all reactors wait here without holding a thread. A look at the ranges that are under way
// costs a step for each of them: they are as many as there are commands under way.
#pragma once

#include <coroutine>
#include <cstdint>
#include <mutex>

#include "block/waiter.h"

namespace peerlane::block {

/// What a range is held for.
enum class RangeUse : unsigned char {
  kCached,    // data go into the cache only: no harm to others of the kind, nor to kWriteOut, which works on copies
  kWriteOut,  // dirty pages go to the device
  kDevice,    // the device is changed: excludes all others
};

class RangeLocks {
 public:
  /// A hold on the pages [first, end), asked for when it is made; ends with its scope. To be awaited before the range
  /// is touched: `RangeLocks::Hold hold(locks, 3, 5, RangeUse::kDevice); co_await hold;`
  class Hold {
   public:
    Hold(RangeLocks& locks, std::uint64_t first, std::uint64_t end, RangeUse use);
    ~Hold() { locks_.release(*this); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

    /// Whether the range may be touched already.
    bool granted() { return locks_.is_granted(*this); }

    auto operator co_await() noexcept {
      struct Awaiter {
        Hold& hold;
        bool await_ready() const { return hold.locks_.is_granted(hold); }
        bool await_suspend(std::coroutine_handle<> waiting) const { return hold.locks_.suspend(hold, waiting); }
        void await_resume() const noexcept {}
      };
      return Awaiter{*this};
    }

   private:
    friend class RangeLocks;
    bool conflicts_with(const Hold& other) const;

    RangeLocks& locks_;
    const std::uint64_t first_;
    const std::uint64_t end_;
    const RangeUse use_;
    bool granted_ = false;
    bool suspended_ = false;
    Waiter waiter_;
    Hold* previous_ = nullptr;
    Hold* next_ = nullptr;
  };

  RangeLocks() = default;
  RangeLocks(const RangeLocks&) = delete;
  RangeLocks& operator=(const RangeLocks&) = delete;
  /// Nobody holds a range.
  ~RangeLocks();

 private:
  void ask(Hold& hold);
  bool is_granted(const Hold& hold);
  bool suspend(Hold& hold, std::coroutine_handle<> waiting);
  void release(Hold& hold);
  bool may_go(const Hold& hold) const;
  void unlink(Hold& hold);

  std::mutex mutex_;
  Hold* first_ = nullptr;  // in the order in which they came
  Hold* last_ = nullptr;
  unsigned waiting_ = 0;  // of them, those that are not granted yet
};

}  // namespace peerlane::block
