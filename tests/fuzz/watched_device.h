// For fuzzing: a small disk in memory that knows which blocks the commands in progress may touch, and ends the program
// when something else is touched. When told to, its operations wait until they are let go, and fail.
#pragma once

#include <coroutine>
#include <cstdint>
#include <memory>
#include <vector>

#include "block/ram_device.h"
#include "harness.h"

namespace peerlane::fuzz {

/// Blocks that a command names, in bytes.
struct NamedRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool writable = false;

  bool covers(std::uint64_t offset, std::uint64_t length) const { return offset >= begin && offset + length <= end; }
};

/// Where coroutines wait until the fuzzer lets them go on, in any order.
class Turnstile {
 public:
  Turnstile() = default;
  Turnstile(const Turnstile&) = delete;
  Turnstile& operator=(const Turnstile&) = delete;
  ~Turnstile() { require(waiting_.empty(), "nothing waits at the end"); }

  void close(bool closed) { closed_ = closed; }
  bool empty() const { return waiting_.empty(); }
  /// Lets one of those who wait go on, if any does.
  void release(std::size_t which) {
    if (waiting_.empty()) return;
    const auto at = waiting_.begin() + static_cast<std::ptrdiff_t>(which % waiting_.size());
    const std::coroutine_handle<> handle = at->handle;
    waiting_.erase(at);
    handle.resume();
  }
  /// Lets go on who waits on behalf of `owner`.
  void release_owner(const void* owner) {
    const auto at = std::ranges::find(waiting_, owner, &Waiting::owner);
    if (at != waiting_.end()) release(static_cast<std::size_t>(at - waiting_.begin()));
  }

  /// Awaited: goes on at once while the turnstile is open.
  auto pass(const void* owner) {
    struct Awaiter {
      Turnstile& turnstile;
      const void* owner;
      bool await_ready() const { return !turnstile.closed_; }
      void await_suspend(std::coroutine_handle<> handle) { turnstile.waiting_.push_back({owner, handle}); }
      void await_resume() const {}
    };
    return Awaiter{*this, owner};
  }

 private:
  struct Waiting {
    const void* owner;
    std::coroutine_handle<> handle;
  };

  bool closed_ = false;
  std::vector<Waiting> waiting_;
};

class WatchedDevice final : public block::Device {
 public:
  static constexpr std::uint64_t kBytes = 256u << 10;
  static constexpr std::uint64_t kFilledBytes = kBytes / 2;  // the rest has never been written

  WatchedDevice(std::uint32_t block_size, const block::Capabilities& less, Turnstile& turnstile);

  /// What it claims: what a disk in memory can, and `less` what is not in both.
  block::Capabilities claims;
  /// The error of the next operations.
  int error = 0;
  /// Whether an operation has failed since the beginning.
  bool has_failed = false;
  /// Operations that changed something, since the beginning.
  std::uint64_t changes = 0;

  /// A command begins, or ends, that names these blocks.
  void allow(const NamedRange& range) { allowed_.push_back(range); }
  void forbid(const NamedRange& range);

  /// Its content, past the watch.
  std::vector<std::uint8_t> content(std::uint64_t offset, std::uint64_t length);

  block::Geometry geometry() const override { return ram_->geometry(); }
  block::Capabilities capabilities() const override { return claims; }
  block::Identity identity() const override { return ram_->identity(); }
  std::uint32_t memory_alignment() const override { return 1; }
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, block::WriteFlags flags) override;
  io::Task<Result<void>> flush() override;
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override;
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override;
  io::Task<Result<std::vector<block::Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                          std::size_t most) override;
  Result<bool> refresh_size() override { return false; }

 private:
  void check(std::uint64_t offset, std::uint64_t length, bool writes);
  Result<void> outcome();

  std::unique_ptr<block::RamDevice> ram_;
  Turnstile& turnstile_;
  std::vector<NamedRange> allowed_;
};

}  // namespace peerlane::fuzz
