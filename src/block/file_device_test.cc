#include "block/file_device.h"

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/testing.h"

namespace peerlane::block {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

/// A file of 8 MiB, all hole, that goes with the test; and a reactor.
class FileDeviceTest : public ::testing::Test {
 protected:
  FileDeviceTest() : reactor(std::move(*io::Reactor::create())) {
    char name[] = "/var/tmp/file_device_test.XXXXXX";  // /tmp may be a tmpfs, which knows no O_DIRECT
    close(mkstemp(name));
    path = name;
    std::filesystem::resize_file(path, 8 * kMiB);
  }
  ~FileDeviceTest() override { std::filesystem::remove(path); }

  std::unique_ptr<Device> open(const OpenOptions& options = {}) {
    auto device = open_device(path, options);
    EXPECT_TRUE(device.has_value()) << device.error().text();
    return device ? std::move(*device) : nullptr;
  }

  std::uint64_t allocated() const {
    struct stat status{};
    EXPECT_EQ(stat(path.c_str(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }

  std::unique_ptr<io::Reactor> reactor;
  std::string path;
};

io::Buffer filled(io::Reactor& reactor, std::size_t size, std::uint8_t value) {
  auto buffer = reactor.buffers().allocate(size);
  std::fill(buffer->bytes().begin(), buffer->bytes().end(), value);
  return std::move(*buffer);
}

io::Task<void> expect_content(io::Reactor& reactor, Device& device, std::uint64_t offset, std::size_t size,
                              std::uint8_t value) {
  const io::Buffer buffer = filled(reactor, size, static_cast<std::uint8_t>(~value));
  auto read = co_await device.read(offset, buffer.bytes());
  EXPECT_TRUE(read.has_value());
  const auto bytes = buffer.bytes();
  EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), [value](std::uint8_t byte) { return byte == value; }))
      << "at " << offset;
}

io::Task<void> write_at(io::Reactor& reactor, Device& device, std::uint64_t offset, std::size_t size,
                        std::uint8_t value, WriteFlags flags) {
  const io::Buffer buffer = filled(reactor, size, value);
  auto written = co_await device.write(offset, buffer.bytes(), flags);
  EXPECT_TRUE(written.has_value());
}

io::Task<void> use_it(io::Reactor& reactor, Device& device) {
  co_await write_at(reactor, device, 0, 512, 0x11, WriteFlags::kNone);
  co_await write_at(reactor, device, 2 * kMiB, kMiB, 0x22, WriteFlags::kFua);
  co_await write_at(reactor, device, 8 * kMiB - 512, 512, 0x33, WriteFlags::kNone);
  auto flushed = co_await device.flush();
  EXPECT_TRUE(flushed.has_value());
  co_await expect_content(reactor, device, 0, 512, 0x11);
  co_await expect_content(reactor, device, 512, 3584, 0);
  co_await expect_content(reactor, device, 2 * kMiB, kMiB, 0x22);
  co_await expect_content(reactor, device, 8 * kMiB - 512, 512, 0x33);
}

TEST_F(FileDeviceTest, ReadsWhatWasWrittenPastThePageCacheAndThroughIt) {
  for (const bool direct : {true, false}) {
    const auto device = open({.logical_block_size = 512, .read_only = false, .direct = direct});
    ASSERT_NE(device, nullptr);
    io::testing::run(*reactor, use_it(*reactor, *device));
  }
}

io::Task<void> deallocate(io::Reactor& reactor, Device& device) {
  co_await write_at(reactor, device, 0, kMiB, 0x44, WriteFlags::kNone);
  auto unmapped = co_await device.unmap(256 << 10, 512 << 10);
  EXPECT_TRUE(unmapped.has_value());
  co_await expect_content(reactor, device, 0, 256 << 10, 0x44);
  co_await expect_content(reactor, device, 256 << 10, 512 << 10, 0);
  co_await expect_content(reactor, device, 768 << 10, 256 << 10, 0x44);
  // Within one block of the file system there is nothing to give back, but it must read as zeroes all the same.
  auto part = co_await device.unmap(512, 1024);
  EXPECT_TRUE(part.has_value());
  co_await expect_content(reactor, device, 0, 512, 0x44);
  co_await expect_content(reactor, device, 512, 1024, 0);
  co_await expect_content(reactor, device, 1536, 2560, 0x44);

  auto extents = co_await device.allocation(0, 8 * kMiB, 16);
  EXPECT_TRUE(extents.has_value());
  std::uint64_t at = 0;
  for (const Extent& extent : *extents) {
    EXPECT_EQ(extent.offset, at) << "extents have no gaps";
    at += extent.length;
  }
  EXPECT_EQ(at, 8 * kMiB);
  EXPECT_EQ(extents->size(), 4u) << "data, hole, data, hole";
  auto first = co_await device.allocation(0, 8 * kMiB, 1);
  EXPECT_EQ(first->size(), 1u);
}

TEST_F(FileDeviceTest, UnmapGivesSpaceBackAndLeavesZeroes) {
  const auto device = open();
  ASSERT_TRUE(device->capabilities().unmap && device->capabilities().allocation) << "of the file system of /var/tmp";
  io::testing::run(*reactor, deallocate(*reactor, *device));
  EXPECT_LE(allocated(), 600u << 10);
}

io::Task<void> zero(io::Reactor& reactor, Device& device) {
  co_await write_at(reactor, device, 0, kMiB, 0x55, WriteFlags::kNone);
  auto kept = co_await device.write_zeroes(0, 256 << 10, false);
  EXPECT_TRUE(kept.has_value());
  auto dropped = co_await device.write_zeroes(512 << 10, 512 << 10, true);
  EXPECT_TRUE(dropped.has_value());
  co_await expect_content(reactor, device, 0, 256 << 10, 0);
  co_await expect_content(reactor, device, 256 << 10, 256 << 10, 0x55);
  co_await expect_content(reactor, device, 512 << 10, 512 << 10, 0);
}

TEST_F(FileDeviceTest, WriteZeroesKeepsItsSpaceUnlessItNeedNot) {
  const auto device = open();
  ASSERT_TRUE(device->capabilities().write_zeroes) << "of the file system of /var/tmp";
  io::testing::run(*reactor, zero(*reactor, *device));
  EXPECT_GE(allocated(), 512u << 10);
  EXPECT_LT(allocated(), kMiB);
}

TEST_F(FileDeviceTest, IsServedByOneAtATimeButOutlastsAPredecessorThatIsAboutToBeGone) {
  auto predecessor = open();
  const auto refused = open_device(path, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, EBUSY);
  std::jthread end([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    predecessor.reset();
  });
  EXPECT_NE(open(), nullptr);
}

TEST_F(FileDeviceTest, NoticesGrowthInWholeBlocks) {
  const auto device = open({.logical_block_size = 4096, .read_only = false, .direct = true});
  EXPECT_EQ(device->geometry().size, 8 * kMiB);
  EXPECT_FALSE(device->refresh_size().value());
  std::filesystem::resize_file(path, 16 * kMiB + 512);
  EXPECT_EQ(device->geometry().size, 8 * kMiB);
  EXPECT_TRUE(device->refresh_size().value());
  EXPECT_EQ(device->geometry().size, 16 * kMiB);
  EXPECT_FALSE(device->refresh_size().value());
}

io::Task<void> read_what_is_gone(io::Reactor& reactor, Device& device, const std::string& path) {
  std::filesystem::resize_file(path, kMiB);
  const io::Buffer buffer = filled(reactor, 4096, 0);
  auto read = co_await device.read(4 * kMiB, buffer.bytes());
  EXPECT_FALSE(read.has_value());
}

TEST_F(FileDeviceTest, BlocksThatAreGoneAreAnError) {
  const auto device = open();
  io::testing::run(*reactor, read_what_is_gone(*reactor, *device, path));
}

TEST_F(FileDeviceTest, ASecondWriterIsRefusedAndReadersShare) {
  {
    const auto writer = open();
    const auto second = open_device(path, {});
    ASSERT_FALSE(second.has_value());
    EXPECT_EQ(second.error().code, EBUSY);
  }
  const auto reader = open({.logical_block_size = 0, .read_only = true, .direct = true});
  const auto another = open({.logical_block_size = 0, .read_only = true, .direct = true});
  EXPECT_TRUE(reader && another && reader->capabilities().read_only && !reader->capabilities().unmap);
  EXPECT_FALSE(open_device(path, {}).has_value());
}

TEST_F(FileDeviceTest, HasAStableIdentityWhateverPathLeadsToIt) {
  const std::string stable = open()->identity().stable;
  const std::string link = path + ".link";
  std::filesystem::create_symlink(path, link);
  const auto device = open_device(link, {});
  std::filesystem::remove(link);
  ASSERT_TRUE(device.has_value());
  EXPECT_EQ((*device)->identity().stable, stable);
  EXPECT_EQ((*device)->identity().spec, link);
}

TEST(OpenDevice, SaysWhatToGiveInstead) {
  const auto missing = open_device("/nonexistent/disk.img", {});
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().text().find("truncate -s"), std::string::npos);
  const auto directory = open_device("/tmp", {});
  ASSERT_FALSE(directory.has_value());
  EXPECT_NE(directory.error().text().find("neither a regular file nor a block device"), std::string::npos);
  EXPECT_FALSE(open_device("/dev/null", {}).has_value());
  EXPECT_FALSE(open_device("ram:", {}).has_value());
  EXPECT_FALSE(open_device("ram:1x", {}).has_value());
}

}  // namespace
}  // namespace peerlane::block
