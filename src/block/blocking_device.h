// A disk for plain threads: each call waits for its end.
//
// An open disk has a thread of its own with a reactor, which does the work; any number of threads may call at the same
// time, and what they ask for is under way together, in the order in which it comes. A call costs a wake-up of that
// thread and one of the caller; calls that come while it is awake share the first. The caller's buffers are used in
// place.
//
// One thread for each disk, and not one for all: a disk that keeps its thread busy does not slow down another, closing
// one ends all that belongs to it, and a program that wants more than one processor's worth of a disk opens it twice.
// Threads do not survive fork(): open disks in the child.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "block/device.h"
#include "io/reactor.h"
#include "io/task.h"

namespace peerlane::block {

class BlockingDevice {
 public:
  /// Opens the device. Called and awaited on the disk's thread, whose reactor it is given; that one outlives the
  /// device's last operation.
  using Open = std::function<io::Task<Result<std::unique_ptr<Device>>>(io::Reactor& reactor)>;

  /// Starts the thread and opens a device there. Errors: those of `open`; the reactor's, where there is no io_uring.
  static Result<std::unique_ptr<BlockingDevice>> open(Open open);
  /// Closes, if close() was not called. No other call may be under way.
  ~BlockingDevice();
  BlockingDevice(const BlockingDevice&) = delete;
  BlockingDevice& operator=(const BlockingDevice&) = delete;

  // --- Thread-safe, also after close() ---

  Geometry geometry() const { return device_->geometry(); }
  Capabilities capabilities() const { return device_->capabilities(); }
  Identity identity() const { return device_->identity(); }

  // --- As block::Device has them; thread-safe. Offsets and lengths are bytes, multiples of the logical block size and
  // within the disk, buffers aligned to its memory_alignment(): EINVAL if not. EROFS for changes of a read-only disk;
  // EBADF after close(). ---

  Result<void> read(std::uint64_t offset, ByteSpan into);
  Result<void> write(std::uint64_t offset, ByteView from, WriteFlags flags = WriteFlags::kNone);
  Result<void> flush();
  Result<void> unmap(std::uint64_t offset, std::uint64_t length);
  Result<void> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap);
  /// In order and without gaps from `offset` on; at least one, unless `length` or `most` is 0.
  Result<std::vector<Extent>> allocation(std::uint64_t offset, std::uint64_t length, std::size_t most);
  /// Whether the size has changed since it was last asked for; geometry() then tells the new one.
  Result<bool> refresh_size();

  /// Waits for the calls that are under way, closes the device and ends the thread. Further calls get EBADF, a second
  /// close() too.
  Result<void> close();

 private:
  struct Opening;
  class Pass;

  BlockingDevice() = default;
  void run(Opening& opening);
  Result<void> check(std::uint64_t offset, std::uint64_t length, const void* buffer) const;
  Result<void> check_change(std::uint64_t offset, std::uint64_t length, const void* buffer) const;
  template <typename T, typename Make>
  Result<T> call(Make make);
  template <typename T, typename Make>
  Result<T> carry_out(Make& make);

  io::Reactor* reactor_ = nullptr;  // the thread's, as long as it runs
  std::unique_ptr<Device> device_;
  std::mutex mutex_;
  std::condition_variable idle_;
  unsigned inside_ = 0;  // calls under way; guarded by mutex_
  bool closed_ = false;  // guarded by mutex_
  std::jthread thread_;
};

}  // namespace peerlane::block
