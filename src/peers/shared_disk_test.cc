#include "peers/shared_disk.h"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "block/filter_device.h"
#include "block/ram_device.h"
#include "io/testing.h"

namespace peerlane::peers {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kSize = 32 * kMiB;
constexpr int kDescriptor = 7;  // which nobody uses

/// A disk in memory that counts, and does what a test wants first.
class ScriptedDevice final : public block::FilterDevice {
 public:
  explicit ScriptedDevice(bool local) : FilterDevice(make()), local_(local) {}

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override {
    Result<void> before = on_read ? on_read(offset) : Result<void>();
    if (!before) co_return before;
    reads.emplace_back(offset, into.size());
    auto read = co_await inner().read(offset, into);
    co_return read;
  }
  io::Task<Result<void>> flush() override {
    ++flushes;
    return io::ready(on_flush ? on_flush() : Result<void>());
  }
  block::Geometry geometry() const override {
    block::Geometry shape = inner().geometry();
    shape.size = size;
    return shape;
  }
  std::optional<block::Backing> backing() const override {
    return local_ ? std::optional(block::Backing{.descriptor = kDescriptor, .direct = true, .unit = 512})
                  : std::nullopt;
  }

  std::uint64_t bytes_read() const {
    std::uint64_t bytes = 0;
    for (const auto& [offset, length] : reads) bytes += length;
    return bytes;
  }

  std::function<Result<void>(std::uint64_t)> on_read;
  std::function<Result<void>()> on_flush;
  std::uint64_t size = kSize;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> reads;
  unsigned flushes = 0;

 private:
  static std::unique_ptr<block::Device> make() {
    auto device = block::RamDevice::create(kSize, 512, false, "ram:32M");
    return device ? std::move(*device) : nullptr;
  }
  const bool local_;
};

class SharedDiskTest : public ::testing::Test {
 protected:
  SharedDiskTest()
      : reactor(std::move(*io::Reactor::create())),
        unit(std::make_shared<ScriptedDevice>(false)),
        owned(std::make_unique<ScriptedDevice>(true)),
        disk(*owned),
        local(std::make_shared<LocalDisk>(std::move(owned), scsi::DiskPlace{"eui.0025385b71b0a1c2", 0, kSize})) {}

  /// What a copy of the range would read.
  std::shared_ptr<block::Device> for_reading(std::uint64_t offset = 0, std::uint64_t length = kSize) {
    SharedDisk shared(local, unit, "the unit");
    std::shared_ptr<block::Device> found;
    io::testing::run(*reactor, ask(shared, offset, length, found));
    return found;
  }
  static io::Task<void> ask(SharedDisk& shared, std::uint64_t offset, std::uint64_t length,
                            std::shared_ptr<block::Device>& found) {
    found = co_await shared.for_reading(offset, length);
  }

  std::uint8_t byte_at(block::Device& device, std::uint64_t offset) {
    std::uint8_t byte = 0;
    io::testing::run(*reactor, read_byte(device, offset, byte));
    return byte;
  }
  static io::Task<void> read_byte(block::Device& device, std::uint64_t offset, std::uint8_t& byte) {
    alignas(4096) std::array<std::uint8_t, 512> block{};
    const auto read = co_await device.read(offset / 512 * 512, block);
    EXPECT_TRUE(read);
    byte = block[offset % 512];
  }

  void put(block::Device& device, std::uint64_t offset, std::uint8_t byte, std::size_t length = 512) {
    io::testing::run(*reactor, write(device, offset, std::vector<std::uint8_t>(length, byte)));
  }
  static io::Task<void> write(block::Device& device, std::uint64_t offset, std::vector<std::uint8_t> data) {
    const auto written = co_await device.write(offset, data, block::WriteFlags::kNone);
    EXPECT_TRUE(written);
  }

  std::unique_ptr<io::Reactor> reactor;
  std::shared_ptr<ScriptedDevice> unit;
  std::unique_ptr<ScriptedDevice> owned;
  ScriptedDevice& disk;
  std::shared_ptr<LocalDisk> local;
};

TEST_F(SharedDiskTest, WhatIsTheSameIsReadFromTheDisk) {
  const auto found = for_reading();
  ASSERT_NE(found, unit);
  EXPECT_EQ(found->backing()->descriptor, kDescriptor);
  EXPECT_TRUE(found->capabilities().read_only);
  EXPECT_EQ(found->geometry().size, kSize);
  put(disk, kMiB, 0x55);
  EXPECT_EQ(byte_at(*found, kMiB), 0x55);
}

TEST_F(SharedDiskTest, ThePeerWritesOutBeforeAnythingIsRead) {
  unit->on_flush = [this]() -> Result<void> {
    EXPECT_TRUE(unit->reads.empty() && disk.reads.empty());
    return {};
  };
  EXPECT_NE(for_reading(), unit);
  EXPECT_EQ(unit->flushes, 1u);
}

TEST_F(SharedDiskTest, BeginningEndAndPlacesBetweenAreCompared) {
  const std::uint64_t from = 3 * kMiB;
  const std::uint64_t length = 16 * kMiB;
  EXPECT_NE(for_reading(from, length), unit);
  EXPECT_EQ(unit->reads, disk.reads);
  ASSERT_EQ(unit->reads.size(), limits::kSharedDiskSamples);
  EXPECT_EQ(unit->reads.front().first, from);
  EXPECT_EQ(unit->reads.back().first + unit->reads.back().second, from + length);
  EXPECT_TRUE(std::ranges::is_sorted(unit->reads));
  EXPECT_LE(unit->bytes_read(), length / 16);
  const auto first_places = unit->reads;
  unit->reads.clear();
  EXPECT_NE(for_reading(from, length), unit);
  EXPECT_NE(unit->reads, first_places);  // the middle ones cannot be foreseen
}

TEST_F(SharedDiskTest, ARangeThatEndsInsideBlocksIsComparedInWholeOnes) {
  EXPECT_NE(for_reading(kMiB + 100, kMiB), unit);
  for (const auto& [offset, length] : unit->reads) {
    EXPECT_EQ(offset % 512 + length % 512, 0u);
    EXPECT_GE(offset, kMiB + 512);
    EXPECT_LE(offset + length, 2 * kMiB + 100);
  }
}

TEST_F(SharedDiskTest, ADifferenceAnywhereMeansTheNetwork) {
  for (const std::uint64_t place : {std::uint64_t{0}, kSize - 512}) {
    put(*unit, place, 0x77);
    EXPECT_EQ(for_reading(), unit) << place;
    put(*unit, place, 0);
    local = std::make_shared<LocalDisk>(std::make_unique<ScriptedDevice>(true), local->place());  // without doubts
  }
}

TEST_F(SharedDiskTest, ADifferenceInTheMiddleMeansTheNetwork) {
  // All but the ends, which the places between cannot miss.
  for (std::uint64_t at = kMiB; at < kSize - kMiB; at += kMiB) put(*unit, at, 0x77, kMiB);
  EXPECT_EQ(for_reading(), unit);
}

TEST_F(SharedDiskTest, WhatWasDifferentIsNotComparedAgainSoon) {
  put(*unit, 0, 0x77);
  EXPECT_EQ(for_reading(), unit);
  const std::size_t reads = unit->reads.size();
  put(*unit, 0, 0);
  EXPECT_EQ(for_reading(), unit);
  EXPECT_EQ(unit->reads.size(), reads);
}

TEST_F(SharedDiskTest, AWriteMeanwhileIsNoDifference) {
  put(*unit, 0, 0x77);
  unit->on_flush = [this]() -> Result<void> {
    if (unit->flushes == 2) put(disk, 0, 0x77);
    return {};
  };
  EXPECT_NE(for_reading(), unit);
  EXPECT_EQ(unit->flushes, 2u);
}

TEST_F(SharedDiskTest, AShortRangeIsNotWorthIt) {
  EXPECT_EQ(for_reading(0, kMiB / 2 - 512), unit);
  EXPECT_EQ(unit->flushes, 0u);
  EXPECT_NE(for_reading(0, kMiB / 2), unit);
}

TEST_F(SharedDiskTest, APeerThatRefusesDecides) {
  unit->on_flush = []() -> Result<void> { return fail(EBADE, "reservation conflict"); };
  EXPECT_EQ(for_reading(), unit);
  EXPECT_TRUE(disk.reads.empty());
}

TEST_F(SharedDiskTest, APeerThatDoesNotLetReadDecides) {
  unit->on_read = [](std::uint64_t) -> Result<void> { return fail(EBADE, "reservation conflict"); };
  EXPECT_EQ(for_reading(), unit);
}

TEST_F(SharedDiskTest, AnotherSizeIsAnotherDisk) {
  unit->size = kSize - kMiB;
  EXPECT_EQ(for_reading(0, kMiB), unit);
  unit->size = kSize;
  disk.size = 0;  // pulled out
  EXPECT_FALSE(local->is_usable());
  EXPECT_EQ(for_reading(0, kMiB), unit);
  EXPECT_EQ(unit->flushes, 0u);
}

TEST_F(SharedDiskTest, ADiskThatGoesAwayIsReadOverTheNetwork) {
  const auto found = for_reading();
  ASSERT_NE(found, unit);
  disk.on_read = [](std::uint64_t) -> Result<void> { return fail(ENODEV); };
  put(*unit, 5 * kMiB, 0x66);
  EXPECT_EQ(byte_at(*found, 5 * kMiB), 0x66);
  EXPECT_FALSE(found->backing());
  disk.on_read = nullptr;
  EXPECT_EQ(byte_at(*found, 5 * kMiB), 0x66);  // it is not asked again
  EXPECT_EQ(for_reading(), unit);
}

TEST_F(SharedDiskTest, NothingIsWrittenThere) {
  const auto found = for_reading();
  std::array<std::uint8_t, 512> block{};
  const auto written = [&](block::Device& device) { return device.write(0, block, block::WriteFlags::kNone); };
  struct Script {
    static io::Task<void> run(io::Task<Result<void>> task) {
      const auto done = co_await std::move(task);
      EXPECT_TRUE(!done && done.error().code == EROFS);
    }
  };
  io::testing::run(*reactor, Script::run(written(*found)));
}

}  // namespace
}  // namespace peerlane::peers
