// For tests: a disk that does all that a disk may do. Operations take their time, fail, and are done in parts; what was
// written and not flushed may be lost in a crash, in any combination.
//
// It complains about what nobody may do to a disk: changes that overlap while both are under way, torn sectors, places
// beyond its end, memory that is not aligned. Thread-safe. Contents are those of testing/sector_model.h.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "block/chance.h"
#include "block/device.h"
#include "block/testing/sector_model.h"
#include "io/reactor.h"

namespace peerlane::block::testing {

struct ChaosOptions {
  std::size_t sectors = 1024;
  std::uint64_t seed = 1;
  double failures = 0;  // of all operations
  bool volatile_cache = true;
  bool fua = true;
  std::uint32_t alignment = 1;
};

class ChaosDevice final : public Device {
 public:
  explicit ChaosDevice(const ChaosOptions& options)
      : options_(options), now_(options.sectors), stable_(options.sectors), busy_(options.sectors) {}

  Geometry geometry() const override {
    return {.size = options_.sectors * kSectorBytes, .logical_block_size = 512, .physical_block_size = 512};
  }
  Capabilities capabilities() const override {
    return {.unmap = true,
            .write_zeroes = true,
            .allocation = true,
            .volatile_cache = options_.volatile_cache,
            .fua = options_.fua};
  }
  Identity identity() const override { return {.spec = "chaos", .stable = {}}; }
  std::uint32_t memory_alignment() const override { return options_.alignment; }

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override {
    reads_.fetch_add(1);
    check(offset, into.size(), into.data());
    // In two parts, at different times.
    const std::size_t half = into.size() / 2 / kSectorBytes * kSectorBytes;
    const bool bad = fails();
    co_await pause();
    copy_out(offset, into.first(half));
    co_await pause();
    copy_out(offset + half, into.subspan(half));
    if (bad) co_return fail(EIO);
    co_return Result<void>();
  }

  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) override {
    check(offset, from.size(), from.data());
    std::vector<std::uint64_t> values;
    for (std::size_t at = 0; at < from.size(); at += kSectorBytes) {
      const auto value = value_of(from.subspan(at, kSectorBytes));
      if (!value) complain(fmt::format("sector {} is torn", (offset + at) / kSectorBytes));
      values.push_back(value.value_or(0));
    }
    auto result = co_await change(offset / kSectorBytes, std::move(values), flags == WriteFlags::kFua);
    co_return result;
  }

  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override {
    check(offset, length, nullptr);
    std::vector<std::uint64_t> values(length / kSectorBytes);
    auto result = co_await change(offset / kSectorBytes, std::move(values), false);
    co_return result;
  }
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool) override {
    return unmap(offset, length);
  }

  io::Task<Result<void>> flush() override {
    const bool bad = fails();
    std::uint64_t version = 0;
    {
      const std::lock_guard lock(mutex_);
      version = version_;
    }
    co_await pause();
    if (bad) co_return fail(EIO);
    const std::lock_guard lock(mutex_);
    std::erase_if(pending_, [&](const Pending& write) {
      if (write.sector.version > version || !write.complete) return false;
      settle(write);
      return true;
    });
    co_return Result<void>();
  }

  io::Task<Result<std::vector<Extent>>> allocation(std::uint64_t offset, std::uint64_t length, std::size_t) override {
    std::vector<Extent> extents{{.offset = offset, .length = length, .allocated = true}};
    co_return extents;
  }
  Result<bool> refresh_size() override { return false; }

  // --- For the test ---

  /// What a sector would have after a crash now, as `draw` has it.
  std::uint64_t survivor(std::size_t sector, std::uint64_t draw) {
    const std::lock_guard lock(mutex_);
    std::vector<std::uint64_t> candidates{stable_[sector].value};
    for (const Pending& write : pending_) {
      if (write.at == sector && write.sector.version > stable_[sector].version) {
        candidates.push_back(write.sector.value);
      }
    }
    if (!options_.volatile_cache) return now_[sector].value;
    return candidates[static_cast<std::size_t>(chance(options_.seed + 1, draw) *
                                               static_cast<double>(candidates.size()))];
  }
  std::uint64_t value(std::size_t sector) {
    const std::lock_guard lock(mutex_);
    return now_[sector].value;
  }
  void set_failures(double failures) { failures_.store(failures); }
  std::vector<std::string> complaints() {
    const std::lock_guard lock(mutex_);
    return complaints_;
  }
  std::uint64_t reads() const { return reads_.load(); }

 private:
  struct Sector {
    std::uint64_t value = 0;
    std::uint64_t version = 0;
  };
  struct Pending {
    std::size_t at;
    Sector sector;
    std::uint64_t write;  // which one it belongs to
    bool complete;
  };

  double draw() { return chance(options_.seed, draws_.fetch_add(1)); }
  bool fails() { return draw() < failures_.load(); }

  io::Task<void> pause() {
    const auto microseconds = static_cast<std::int64_t>(draw() * 120) - 40;
    if (microseconds > 0) co_await io::sleep(io::Reactor::current(), std::chrono::microseconds(microseconds));
  }

  void copy_out(std::uint64_t offset, ByteSpan into) {
    const std::lock_guard lock(mutex_);
    for (std::size_t at = 0; at < into.size(); at += kSectorBytes) {
      fill_sector(into.subspan(at, kSectorBytes), now_[(offset + at) / kSectorBytes].value);
    }
  }

  /// Changes sectors in two parts; one that fails changes only the first.
  io::Task<Result<void>> change(std::size_t first, std::vector<std::uint64_t> values, bool fua) {
    const bool bad = fails();
    const std::size_t half = values.size() / 2;
    std::uint64_t write = 0;
    {
      const std::lock_guard lock(mutex_);
      write = ++writes_;
      for (std::size_t i = 0; i < values.size(); ++i) {
        if (busy_[first + i]) complain_locked(fmt::format("two changes of sector {}", first + i));
        busy_[first + i] = true;
      }
    }
    co_await pause();
    apply(first, values, 0, half, write);
    co_await pause();
    if (!bad) apply(first, values, half, values.size(), write);
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < values.size(); ++i) busy_[first + i] = false;
    for (Pending& pending : pending_) pending.complete = pending.complete || pending.write == write;
    if (bad) co_return fail(EIO);
    if (fua) {
      std::erase_if(pending_, [&](const Pending& pending) {
        if (pending.write != write) return false;
        settle(pending);
        return true;
      });
    }
    co_return Result<void>();
  }

  void apply(std::size_t first, const std::vector<std::uint64_t>& values, std::size_t begin, std::size_t end,
             std::uint64_t write) {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = begin; i < end; ++i) {
      now_[first + i] = {values[i], ++version_};
      pending_.push_back({first + i, now_[first + i], write, false});
    }
  }

  void settle(const Pending& write) {
    if (write.sector.version > stable_[write.at].version) stable_[write.at] = write.sector;
  }

  void check(std::uint64_t offset, std::uint64_t length, const void* memory) {
    if (offset % kSectorBytes != 0 || length % kSectorBytes != 0 || offset + length > geometry().size) {
      complain(fmt::format("{}+{} is not on the disk", offset, length));
    }
    if (reinterpret_cast<std::uintptr_t>(memory) % options_.alignment != 0) complain("memory is not aligned");
  }
  void complain(std::string what) {
    const std::lock_guard lock(mutex_);
    complain_locked(std::move(what));
  }
  void complain_locked(std::string what) { complaints_.push_back(std::move(what)); }

  const ChaosOptions options_;
  std::atomic<double> failures_{options_.failures};
  std::atomic<std::uint64_t> draws_{0};
  std::atomic<std::uint64_t> reads_{0};
  std::mutex mutex_;
  std::vector<Sector> now_;
  std::vector<Sector> stable_;
  std::vector<Pending> pending_;  // in the order in which they were applied
  std::vector<bool> busy_;        // sectors that are being changed
  std::uint64_t version_ = 0;
  std::uint64_t writes_ = 0;
  std::vector<std::string> complaints_;
};

}  // namespace peerlane::block::testing
