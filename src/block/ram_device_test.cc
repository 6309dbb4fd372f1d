#include "block/ram_device.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::block {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

/// Runs a task that must end without waiting.
template <typename T>
io::Task<void> store(io::Task<T> task, std::optional<T>& result) {
  auto value = co_await std::move(task);
  result.emplace(std::move(value));
}
template <typename T>
T run(io::Task<T> task) {
  std::optional<T> result;
  io::spawn(store(std::move(task), result));
  return std::move(result.value());
}

std::unique_ptr<RamDevice> make(std::uint64_t size, std::uint32_t block_size = 512, bool read_only = false) {
  auto device = RamDevice::create(size, block_size, read_only, "ram:test");
  EXPECT_TRUE(device) << device.error().text();
  return std::move(*device);
}

std::vector<std::uint8_t> contents(RamDevice& device, std::uint64_t offset, std::size_t length) {
  std::vector<std::uint8_t> bytes(length, 0xee);
  EXPECT_TRUE(run(device.read(offset, bytes)));
  return bytes;
}

void fill(RamDevice& device, std::uint64_t offset, std::size_t length, std::uint8_t value) {
  const std::vector<std::uint8_t> bytes(length, value);
  EXPECT_TRUE(run(device.write(offset, bytes, WriteFlags::kNone)));
}

bool all(const std::vector<std::uint8_t>& bytes, std::uint8_t value) {
  return std::ranges::all_of(bytes, [value](std::uint8_t byte) { return byte == value; });
}

std::vector<Extent> extents(RamDevice& device, std::uint64_t offset, std::uint64_t length, std::size_t most = 100) {
  auto found = run(device.allocation(offset, length, most));
  EXPECT_TRUE(found);
  return found.value_or(std::vector<Extent>());
}

TEST(RamDevice, FreshDiskReadsAsZeroesAndWritesAreWhereTheyWerePut) {
  const auto device = make(kMiB);
  EXPECT_TRUE(all(contents(*device, 0, kMiB), 0));
  fill(*device, 512, 512, 0xa5);
  EXPECT_TRUE(all(contents(*device, 0, 512), 0));
  EXPECT_TRUE(all(contents(*device, 512, 512), 0xa5));
  EXPECT_TRUE(all(contents(*device, 1024, 512), 0));
  fill(*device, kMiB - 512, 512, 0x5a);
  EXPECT_TRUE(all(contents(*device, kMiB - 512, 512), 0x5a));
}

TEST(RamDevice, SizeIsWholeBlocks) {
  EXPECT_EQ(make(4096 * 3 + 511, 512)->geometry().size, 4096u * 3);
  EXPECT_EQ(make(4096 * 3 + 4095, 4096)->geometry().size, 4096u * 3);
  EXPECT_EQ(RamDevice::create(511, 512, false, "ram:511").error().code, EINVAL);
  EXPECT_EQ(RamDevice::create(4095, 4096, false, "ram:4095").error().code, EINVAL);
  EXPECT_EQ(RamDevice::create(kMiB, 1024, false, "ram:1M").error().code, EINVAL);
  EXPECT_FALSE(RamDevice::create(UINT64_MAX, 512, false, "ram:16E"));
}

// A terabyte is more than any machine that runs this has: only sparse memory can hold it.
TEST(RamDevice, IsSparse) {
  constexpr std::uint64_t kTiB = std::uint64_t{1} << 40;
  const auto device = make(kTiB, 4096);
  fill(*device, kTiB - 4096, 4096, 1);
  EXPECT_TRUE(all(contents(*device, kTiB - 4096, 4096), 1));
  const auto found = extents(*device, 0, kTiB);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_FALSE(found[0].allocated);
  EXPECT_EQ(found[0].length, kTiB - 4096);
  EXPECT_TRUE(found[1].allocated);
  EXPECT_TRUE(run(device->unmap(0, kTiB)));
  EXPECT_EQ(extents(*device, 0, kTiB).size(), 1u);
}

TEST(RamDevice, UnmapZeroesExactlyItsRangeWhateverItsAlignment) {
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{512}, std::uint64_t{4096}, std::uint64_t{3584}}) {
    for (const std::uint64_t length :
         {std::uint64_t{512}, std::uint64_t{4096}, std::uint64_t{5120}, std::uint64_t{12288}, std::uint64_t{300032}}) {
      const auto device = make(kMiB);
      fill(*device, 0, kMiB, 0xff);
      ASSERT_TRUE(run(device->unmap(offset, length)));
      EXPECT_TRUE(all(contents(*device, 0, offset), 0xff)) << offset << "+" << length;
      EXPECT_TRUE(all(contents(*device, offset, length), 0)) << offset << "+" << length;
      EXPECT_TRUE(all(contents(*device, offset + length, kMiB - offset - length), 0xff)) << offset << "+" << length;
    }
  }
}

TEST(RamDevice, WriteZeroesWithAndWithoutUnmapReadsAsZeroes) {
  for (const bool may_unmap : {false, true}) {
    const auto device = make(kMiB);
    fill(*device, 0, kMiB, 0xff);
    ASSERT_TRUE(run(device->write_zeroes(512, 8192, may_unmap)));
    EXPECT_TRUE(all(contents(*device, 0, 512), 0xff));
    EXPECT_TRUE(all(contents(*device, 512, 8192), 0));
    EXPECT_TRUE(all(contents(*device, 8704, 512), 0xff));
  }
}

TEST(RamDevice, AllocationFollowsWritesAndUnmaps) {
  const auto device = make(4 * kMiB);
  ASSERT_EQ(extents(*device, 0, 4 * kMiB).size(), 1u);
  fill(*device, kMiB, kMiB, 1);
  auto found = extents(*device, 0, 4 * kMiB);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[1].offset, kMiB);
  EXPECT_EQ(found[1].length, kMiB);
  EXPECT_TRUE(found[1].allocated);
  EXPECT_EQ(found[2].offset + found[2].length, 4 * kMiB);

  // The first page of the range is only half unmapped, so it keeps its space.
  ASSERT_TRUE(run(device->unmap(kMiB + 2048, 8192)));
  found = extents(*device, kMiB, kMiB);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_TRUE(found[0].allocated);
  EXPECT_EQ(found[0].length, 4096u);
  EXPECT_FALSE(found[1].allocated);
  EXPECT_EQ(found[1].length, 4096u);

  EXPECT_EQ(extents(*device, 0, 4 * kMiB, 2).size(), 2u);
  // A range that starts and ends within pages.
  found = extents(*device, kMiB - 512, 1024);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].length, 512u);
  EXPECT_EQ(found[1].length, 512u);
  EXPECT_TRUE(found[1].allocated);
}

TEST(RamDevice, ReadOnlyRefusesAllThatChangesIt) {
  const auto device = make(kMiB, 512, true);
  const std::vector<std::uint8_t> bytes(512, 1);
  EXPECT_EQ(run(device->write(0, bytes, WriteFlags::kNone)).error().code, EROFS);
  EXPECT_EQ(run(device->unmap(0, 512)).error().code, EROFS);
  EXPECT_EQ(run(device->write_zeroes(0, 512, true)).error().code, EROFS);
  EXPECT_TRUE(device->capabilities().read_only);
  EXPECT_FALSE(device->capabilities().unmap);
  EXPECT_TRUE(all(contents(*device, 0, 512), 0));
}

}  // namespace
}  // namespace peerlane::block
