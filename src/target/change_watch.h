// Whether the data of some blocks are still what they were: a ROD token of the change vulnerable type is worth nothing
// once they are not (SPC-4 §5.17.6).
//
// The watch lies below everything that writes (WatchedDevice), so that no command can pass it by. As long as nobody
// watches, a write costs one look at a word that nobody changes.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "block/filter_device.h"

namespace peerlane::target {

/// Bytes of a disk.
struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;

  friend bool operator==(const ByteRange&, const ByteRange&) = default;
};

class ChangeWatch {
 public:
  /// Watches ranges as long as it exists. Must not outlive its ChangeWatch. Writes that had begun before it did are not
  /// seen: who makes it has the ranges for himself (RangeLock) at that time.
  class Watched {
   public:
    Watched(ChangeWatch& watch, std::vector<ByteRange> ranges);
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;
    ~Watched();

    /// Whether a write to any of the ranges has begun since.
    bool changed() const { return changed_.load(std::memory_order_acquire); }

   private:
    friend class ChangeWatch;

    ChangeWatch& watch_;
    const std::vector<ByteRange> ranges_;
    std::atomic<bool> changed_{false};
  };

  ChangeWatch() = default;
  ChangeWatch(const ChangeWatch&) = delete;
  ChangeWatch& operator=(const ChangeWatch&) = delete;

  /// A write to the range is about to begin.
  void note(std::uint64_t offset, std::uint64_t length) {
    if (watching_.load(std::memory_order_acquire) != 0) tell(offset, length);
  }

 private:
  void tell(std::uint64_t offset, std::uint64_t length);

  std::atomic<std::size_t> watching_{0};
  std::mutex mutex_;
  std::vector<Watched*> watched_;
};

/// A disk whose writes are noted. What goes by around() is noted by those who use it: they know whether it writes.
class WatchedDevice final : public block::FilterDevice {
 public:
  /// `watch` outlives it.
  WatchedDevice(std::unique_ptr<block::Device> inner, ChangeWatch& watch)
      : FilterDevice(std::move(inner)), watch_(watch) {}

  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, block::WriteFlags flags) override {
    watch_.note(offset, from.size());
    return inner().write(offset, from, flags);
  }
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override {
    watch_.note(offset, length);
    return inner().unmap(offset, length);
  }
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override {
    watch_.note(offset, length);
    return inner().write_zeroes(offset, length, may_unmap);
  }
  void invalidate(std::uint64_t offset, std::uint64_t length) override {
    watch_.note(offset, length);
    inner().invalidate(offset, length);
  }

 private:
  ChangeWatch& watch_;
};

}  // namespace peerlane::target
