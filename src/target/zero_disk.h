// A disk of nothing but zeroes, none of which has space: the source of a copy that zeroes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "block/device.h"

namespace peerlane::target {

class ZeroDisk final : public block::Device {
 public:
  /// `size` is a multiple of `block_size`; both in bytes.
  ZeroDisk(std::uint64_t size, std::uint32_t block_size) : size_(size), block_size_(block_size) {}

  block::Geometry geometry() const override {
    return {.size = size_, .logical_block_size = block_size_, .physical_block_size = block_size_};
  }
  block::Capabilities capabilities() const override {
    block::Capabilities can;
    can.read_only = true;
    can.allocation = true;
    return can;
  }
  block::Identity identity() const override { return {.spec = "zeroes", .stable = {}}; }
  std::uint32_t memory_alignment() const override { return 1; }

  io::Task<Result<void>> read(std::uint64_t, ByteSpan into) override {
    std::ranges::fill(into, std::uint8_t{0});
    return io::ready(Result<void>());
  }
  io::Task<Result<void>> write(std::uint64_t, ByteView, block::WriteFlags) override { return refuse(); }
  io::Task<Result<void>> flush() override { return io::ready(Result<void>()); }
  io::Task<Result<void>> unmap(std::uint64_t, std::uint64_t) override { return refuse(); }
  io::Task<Result<void>> write_zeroes(std::uint64_t, std::uint64_t, bool) override { return refuse(); }
  io::Task<Result<std::vector<block::Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                          std::size_t) override {
    return io::ready(Result<std::vector<block::Extent>>({{.offset = offset, .length = length, .allocated = false}}));
  }
  Result<bool> refresh_size() override { return false; }

 private:
  static io::Task<Result<void>> refuse() { return io::ready(Result<void>(fail(EROFS))); }

  const std::uint64_t size_;
  const std::uint32_t block_size_;
};

}  // namespace peerlane::target
