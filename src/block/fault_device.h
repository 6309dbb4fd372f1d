// A disk with injected errors, for tests: rules say which operations fail, where, how often and with which error. What
// fails does not reach the device.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "block/filter_device.h"
#include "block/filter_options.h"

namespace peerlane::block {

class FaultDevice final : public FilterDevice {
 public:
  /// The first rule that matches and strikes gives the error.
  FaultDevice(std::unique_ptr<Device> inner, std::span<const FaultRule> rules);

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) override;
  io::Task<Result<void>> flush() override;
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override;
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override;
  Statistics statistics() const override;

 private:
  struct State {
    FaultRule rule;
    std::atomic<std::uint64_t> matched{0};
    std::atomic<std::uint64_t> struck{0};
  };

  /// The error of an operation on [offset, offset + length), or 0.
  int strike(FaultOperation operation, std::uint64_t offset, std::uint64_t length);
  static io::Task<Result<void>> failed(int error);

  std::vector<State> rules_;
};

}  // namespace peerlane::block
