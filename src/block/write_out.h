// Brings the dirty pages of a disk's cache to the device: after a while, when there are many, when somebody asks for it
// (flush), and at the end.
//
// What is kept: a page stays in memory until the device has it. A write that fails leaves its pages dirty, and whoever
// asks for them to be brought down gets the error, each time until they are.
//
// Thread-safe. Its tasks run on the reactors of those who caused them.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/error.h"
#include "block/cache_memory.h"
#include "block/device.h"
#include "block/range_locks.h"
#include "block/waiter.h"
#include "io/event.h"
#include "io/task.h"

namespace peerlane::block {

class WriteOut {
 public:
  /// All must outlive it.
  WriteOut(CacheMemory& memory, CacheOwner& owner, Device& device, RangeLocks& locks);
  WriteOut(const WriteOut&) = delete;
  WriteOut& operator=(const WriteOut&) = delete;

  /// To be called when a page has become dirty: sees to it that it is brought down in time.
  void dirtied();

  /// Brings down all pages that are dirty now. They are in the device then, not on stable storage.
  io::Task<Result<void>> drain();

  /// Brings down the dirty ones of the pages [first, end), which the caller holds for RangeUse::kDevice.
  io::Task<Result<void>> settle(std::uint64_t first, std::uint64_t end);

  /// Ends the background tasks, and brings down all that is dirty. Nothing may become dirty any more.
  io::Task<Result<void>> close();

 private:
  /// One write to the device that is under way.
  struct Batch {
    std::uint64_t number = 0;
    Batch* previous = nullptr;
    Batch* next = nullptr;
  };
  /// A background task that waits for its time.
  struct Nap {
    io::Reactor* home = nullptr;
    std::shared_ptr<io::Event> over;
  };
  class Pages;  // memory for a copy of what is being written

  io::Task<void> relieve();
  io::Task<void> write_when_old();
  io::Task<void> nap();
  io::Task<void> write_all(std::uint64_t up_to);
  io::Task<void> write_in_turn(std::uint64_t up_to, io::Gate& gate);
  io::Task<void> write_around(std::uint64_t page, ByteSpan copy);
  io::Task<Result<void>> write_held(std::uint64_t first, std::uint64_t end, ByteSpan copy);
  io::Task<void> batches_ended();
  void begin(Batch& batch);
  void end(Batch& batch, const Result<void>& result);
  void note_outcome(const Result<void>& result);
  bool closing();

  CacheMemory& memory_;
  CacheOwner& owner_;
  Device& device_;
  RangeLocks& locks_;
  const std::uint64_t many_;  // dirty pages that are not left to age

  std::atomic<bool> relieving_{false};  // the background tasks, one of each kind
  std::atomic<bool> aging_{false};
  std::atomic<bool> failing_{false};  // the last write failed
  SharedGate background_;

  std::mutex mutex_;
  Batch* oldest_ = nullptr;
  Batch* newest_ = nullptr;
  std::uint64_t batches_ = 0;   // begun
  std::uint64_t failures_ = 0;  // batches
  Error last_failure_;
  bool closing_ = false;
  Nap napping_;
  WaiterList waiters_;  // for the end of batches
};

}  // namespace peerlane::block
