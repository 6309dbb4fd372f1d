// A disk made slow, for tests and measurements: each operation waits before it reaches the device, as it would for the
// arm of a disk or the other end of a wire. Operations wait at the same time, so this limits latency, not throughput.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "block/filter_device.h"
#include "block/filter_options.h"
#include "io/executor.h"

namespace peerlane::block {

class DelayDevice final : public FilterDevice {
 public:
  DelayDevice(std::unique_ptr<Device> inner, const DelayOptions& options);

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) override;
  io::Task<Result<void>> flush() override;
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override;
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override;

 private:
  io::Task<void> pause(std::chrono::microseconds delay);

  const DelayOptions options_;
  std::atomic<std::uint64_t> draws_{0};
};

}  // namespace peerlane::block
