// For tests: a disk that is an array of bytes, with any blocks and capabilities, that takes its time, fails when it is
// told to, and forgets in a crash what was not flushed. It complains about what nobody may do to a disk.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "block/device.h"
#include "io/reactor.h"

namespace peerlane::copy::testing {

struct ModelOptions {
  std::uint64_t size = 1u << 20;
  std::uint32_t block = 512;
  std::uint32_t alignment = 1;
  bool map = true;
  bool write_zeroes = true;
  bool unmap = true;
  std::uint64_t unmap_unit = 0;  // what is smaller is not unmapped; 0: all is
  bool slow = true;
  std::uint64_t seed = 1;
};

class ModelDevice final : public block::Device {
 public:
  enum class Operation : unsigned char { kRead, kWrite, kFlush, kZeroes };

  explicit ModelDevice(const ModelOptions& options)
      : options_(options),
        bytes_(round_up(options.size)),
        allocated_(bytes_.size() / options.block, false),
        stable_(bytes_),
        dirty_(allocated_.size(), false),
        changing_(allocated_.size(), false),
        random_(options.seed) {}

  block::Geometry geometry() const override {
    return {.size = bytes_.size(), .logical_block_size = options_.block, .physical_block_size = options_.block};
  }
  block::Capabilities capabilities() const override {
    block::Capabilities can;
    can.unmap = options_.unmap;
    can.write_zeroes = options_.write_zeroes;
    can.allocation = options_.map;
    can.volatile_cache = true;
    return can;
  }
  block::Identity identity() const override { return {.spec = "model", .stable = {}}; }
  std::uint32_t memory_alignment() const override { return options_.alignment; }

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override {
    check(offset, into.size(), into.data());
    const bool bad = fails(Operation::kRead);
    co_await pause();
    if (bad) co_return fail(EIO);
    std::memcpy(into.data(), bytes_.data() + offset, into.size());
    co_return Result<void>();
  }

  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, block::WriteFlags) override {
    check(offset, from.size(), from.data());
    const bool bad = fails(Operation::kWrite);
    begin_change(offset, from.size());
    co_await pause();
    end_change(offset, from.size());
    if (bad) co_return fail(EIO);
    std::memcpy(bytes_.data() + offset, from.data(), from.size());
    mark(offset, from.size(), true);
    written_ += from.size();
    co_return Result<void>();
  }

  io::Task<Result<void>> flush() override {
    const std::vector<bool> was_dirty = dirty_;
    const std::vector<std::uint8_t> content = bytes_;
    const bool bad = fails(Operation::kFlush);
    co_await pause();
    if (bad) co_return fail(EIO);
    for (std::size_t i = 0; i < was_dirty.size(); ++i) {
      if (was_dirty[i]) std::copy_n(content.begin() + at(i), options_.block, stable_.begin() + at(i));
      if (was_dirty[i] && std::equal(stable_.begin() + at(i), stable_.begin() + at(i + 1), bytes_.begin() + at(i))) {
        dirty_[i] = false;
      }
    }
    ++flushes_;
    co_return Result<void>();
  }

  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override {
    if (options_.unmap_unit == 0) {
      auto done = co_await write_zeroes(offset, length, true);
      co_return done;
    }
    const std::uint64_t begin = (offset + options_.unmap_unit - 1) / options_.unmap_unit * options_.unmap_unit;
    const std::uint64_t end = (offset + length) / options_.unmap_unit * options_.unmap_unit;
    if (begin >= end) co_return Result<void>();
    auto done = co_await write_zeroes(begin, end - begin, true);
    co_return done;
  }

  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool) override {
    check(offset, length, nullptr);
    const bool bad = fails(Operation::kZeroes);
    begin_change(offset, length);
    co_await pause();
    end_change(offset, length);
    if (bad) co_return fail(zeroes_error);
    std::memset(bytes_.data() + offset, 0, length);
    mark(offset, length, false);
    zeroed_ += length;
    co_return Result<void>();
  }

  io::Task<Result<std::vector<block::Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                          std::size_t most) override {
    check(offset, length, nullptr);
    std::vector<block::Extent> extents;
    const std::size_t limit = std::min(most, map_extents);
    for (std::uint64_t i = offset / options_.block; i < (offset + length) / options_.block; ++i) {
      if (!extents.empty() && extents.back().allocated == allocated_[i]) {
        extents.back().length += options_.block;
      } else if (extents.size() < limit) {
        extents.push_back({i * options_.block, options_.block, allocated_[i]});
      } else {
        break;
      }
    }
    co_await pause();
    co_return extents;
  }
  Result<bool> refresh_size() override { return false; }
  block::CopyOffload* copy_offload() override { return offload; }

  // --- For the test ---

  /// The n-th operation of this kind from now on fails, from 1; all that follow, too, if `for_ever`.
  void fail_at(Operation operation, std::uint64_t n, bool for_ever = false) {
    failing_ = operation;
    fail_after_ = n;
    fail_for_ever_ = for_ever;
  }

  /// What was not flushed is there or not, block by block.
  void crash() {
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
      if (dirty_[i] && random_() % 2 == 0) std::copy_n(stable_.begin() + at(i), options_.block, bytes_.begin() + at(i));
      dirty_[i] = false;
    }
    stable_ = bytes_;
  }

  /// Data, holes and written zeroes in runs of up to `run` bytes.
  void fill(std::uint64_t run) {
    for (std::size_t i = 0; i < allocated_.size();) {
      const auto kind = random_() % 4;
      const std::size_t end = std::min<std::size_t>(allocated_.size(), i + 1 + random_() % (run / options_.block + 1));
      for (; i < end; ++i) {
        allocated_[i] = kind != 0;
        for (std::uint32_t k = 0; k < options_.block; ++k) {
          bytes_[static_cast<std::size_t>(at(i)) + k] = kind > 1 ? static_cast<std::uint8_t>(random_()) : 0;
        }
      }
    }
    stable_ = bytes_;
  }
  void fill_with(std::uint8_t byte) {
    std::ranges::fill(bytes_, byte);
    allocated_.assign(allocated_.size(), byte != 0);
    stable_ = bytes_;
  }

  const std::vector<std::uint8_t>& bytes() const { return bytes_; }
  std::vector<std::uint8_t>& bytes() { return bytes_; }
  const std::vector<bool>& allocated() const { return allocated_; }
  const std::vector<std::string>& complaints() const { return complaints_; }
  std::uint64_t written() const { return written_; }
  std::uint64_t zeroed() const { return zeroed_; }
  std::uint64_t flushes() const { return flushes_; }
  bool clean() const {
    return std::ranges::none_of(dirty_, [](bool dirty) { return dirty; });
  }

  block::CopyOffload* offload = nullptr;  // its storage, if that copies by itself
  int zeroes_error = EIO;                 // of kZeroes
  std::size_t map_extents = SIZE_MAX;     // at most so many in one answer

 private:
  std::uint64_t round_up(std::uint64_t size) const {
    return (size + options_.block - 1) / options_.block * options_.block;
  }
  std::ptrdiff_t at(std::size_t block) const { return static_cast<std::ptrdiff_t>(block * options_.block); }

  bool fails(Operation operation) {
    if (failing_ != operation || fail_after_ == 0) return false;
    if (fail_after_ > 1) {
      --fail_after_;
      return false;
    }
    if (!fail_for_ever_) fail_after_ = 0;
    return true;
  }

  io::Task<void> pause() {
    const auto microseconds = options_.slow ? static_cast<std::int64_t>(random_() % 200) - 100 : 0;
    if (microseconds > 0) co_await io::sleep(io::Reactor::current(), std::chrono::microseconds(microseconds));
  }

  void check(std::uint64_t offset, std::uint64_t length, const void* memory) {
    if (offset % options_.block != 0 || length % options_.block != 0 || offset + length > bytes_.size()) {
      complaints_.push_back(fmt::format("{}+{} is not on the disk", offset, length));
    }
    if (reinterpret_cast<std::uintptr_t>(memory) % options_.alignment != 0) {
      complaints_.push_back("memory is not aligned");
    }
  }
  void begin_change(std::uint64_t offset, std::uint64_t length) {
    for (std::uint64_t i = offset / options_.block; i < (offset + length) / options_.block; ++i) {
      if (changing_[i]) complaints_.push_back(fmt::format("two changes of block {}", i));
      changing_[i] = true;
    }
  }
  void end_change(std::uint64_t offset, std::uint64_t length) {
    for (std::uint64_t i = offset / options_.block; i < (offset + length) / options_.block; ++i) changing_[i] = false;
  }
  void mark(std::uint64_t offset, std::uint64_t length, bool allocated) {
    for (std::uint64_t i = offset / options_.block; i < (offset + length) / options_.block; ++i) {
      allocated_[i] = allocated;
      dirty_[i] = true;
    }
  }

  const ModelOptions options_;
  std::vector<std::uint8_t> bytes_;
  std::vector<bool> allocated_;
  std::vector<std::uint8_t> stable_;
  std::vector<bool> dirty_;
  std::vector<bool> changing_;
  std::mt19937_64 random_;
  std::optional<Operation> failing_;
  std::uint64_t fail_after_ = 0;
  bool fail_for_ever_ = false;
  std::uint64_t written_ = 0;
  std::uint64_t zeroed_ = 0;
  std::uint64_t flushes_ = 0;
  std::vector<std::string> complaints_;
};

}  // namespace peerlane::copy::testing
