// For tests: a disk in memory that keeps a log of what is done to it, fails when told to, and claims what it is told to
// claim.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "block/device.h"
#include "block/ram_device.h"

namespace peerlane::target::testing {

class FaultyDevice final : public block::Device {
 public:
  explicit FaultyDevice(std::uint64_t size, std::uint32_t block_size = 512)
      : ram_(std::move(*block::RamDevice::create(size, block_size, false, "ram:test"))),
        claims(ram_->capabilities()),
        shape(ram_->geometry()) {}

 private:
  std::unique_ptr<block::RamDevice> ram_;

 public:
  // What it says of itself; before the logical unit is made.
  block::Capabilities claims;
  block::Geometry shape;
  std::string stable;

  /// One line for each operation: "read 512+1024", "write 0+512 fua", "flush", "unmap 0+512", "zero 0+512 may-unmap".
  std::vector<std::string> log;
  /// The error of each further operation of the kind.
  std::optional<int> read_error, write_error, flush_error, unmap_error, resize_error;
  /// What its storage still has, in bytes; nothing: unknown.
  std::optional<std::uint64_t> available;
  /// Reads and writes that succeed before their errors set in.
  unsigned successes = 0;

  block::Geometry geometry() const override { return shape; }
  block::Capabilities capabilities() const override { return claims; }
  block::Identity identity() const override { return {.spec = "ram:test", .stable = stable}; }
  std::uint32_t memory_alignment() const override { return 1; }

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override {
    log.push_back(fmt::format("read {}+{}", offset, into.size()));
    if (fails_now(read_error)) co_return failure(*read_error);
    auto result = co_await ram_->read(offset, into);
    co_return result;
  }
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, block::WriteFlags flags) override {
    log.push_back(fmt::format("write {}+{}{}", offset, from.size(), flags == block::WriteFlags::kFua ? " fua" : ""));
    if (fails_now(write_error)) co_return failure(*write_error);
    auto result = co_await ram_->write(offset, from, flags);
    co_return result;
  }
  io::Task<Result<void>> flush() override {
    log.emplace_back("flush");
    if (flush_error) co_return failure(*flush_error);
    co_return Result<void>();
  }
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override {
    log.push_back(fmt::format("unmap {}+{}", offset, length));
    if (unmap_error) co_return failure(*unmap_error);
    auto result = co_await ram_->unmap(offset, length);
    co_return result;
  }
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override {
    log.push_back(fmt::format("zero {}+{}{}", offset, length, may_unmap ? " may-unmap" : ""));
    if (unmap_error) co_return failure(*unmap_error);
    auto result = co_await ram_->write_zeroes(offset, length, may_unmap);
    co_return result;
  }
  io::Task<Result<std::vector<block::Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                          std::size_t most) override {
    auto result = co_await ram_->allocation(offset, length, most);
    co_return result;
  }
  Result<block::Space> space() const override {
    auto space = ram_->space();
    space->available = available;
    return space;
  }
  Result<bool> refresh_size() override {
    if (resize_error) return fail(*resize_error);
    return true;
  }

 private:
  bool fails_now(const std::optional<int>& error) {
    if (!error) return false;
    if (successes == 0) return true;
    --successes;
    return false;
  }
  static Result<void> failure(int code) { return fail(code); }
};

}  // namespace peerlane::target::testing
