// A limit on what a disk does: I/Os and bytes a second, with bursts, for all who use it together. The first who come
// are served first. An I/O that would have to wait for longer than limits::kThrottleWait is refused with EAGAIN, so
// that what waits is bounded however many come.
//
// Reads and writes count as one I/O and their bytes; unmap and write_zeroes, which move none, as one I/O; flushes and
// the rest as nothing.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>

#include "block/filter_device.h"
#include "block/filter_options.h"
#include "block/token_bucket.h"

namespace peerlane::block {

class ThrottleDevice final : public FilterDevice {
 public:
  ThrottleDevice(std::unique_ptr<Device> inner, const ThrottleOptions& options);

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) override;
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override;
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override;
  Statistics statistics() const override;

 private:
  /// How long an I/O has to wait, which is accounted for; nothing if that is too long.
  std::optional<io::Duration> admit(std::uint64_t bytes);

  template <typename Begin>
  io::Task<Result<void>> run(std::uint64_t bytes, Begin begin);

  std::mutex mutex_;
  std::optional<TokenBucket> ios_;
  std::optional<TokenBucket> bytes_;
  std::atomic<std::uint64_t> delayed_{0};
  std::atomic<std::uint64_t> delayed_usec_{0};
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace peerlane::block
