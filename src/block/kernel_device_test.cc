#include "block/kernel_device.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

#include "io/testing.h"

namespace peerlane::block {
namespace {

/// A loop device over a file of 16 MiB, where the system lets us make one.
class KernelDeviceTest : public ::testing::Test {
 protected:
  KernelDeviceTest() : reactor(std::move(*io::Reactor::create())) {}

  bool attach(const std::string& options) {
    char name[] = "/var/tmp/kernel_device_test.XXXXXX";
    close(mkstemp(name));
    file = name;
    std::filesystem::resize_file(file, 16u << 20);
    const std::string command = "losetup --find --show " + options + " " + file + " 2>/dev/null";
    FILE* const pipe = popen(command.c_str(), "r");
    char line[64] = {};
    if (pipe != nullptr && std::fgets(line, sizeof line, pipe) != nullptr) device_path = line;
    if (pipe != nullptr) pclose(pipe);
    while (!device_path.empty() && device_path.back() == '\n') device_path.pop_back();
    return !device_path.empty();
  }
  void detach() {
    if (device_path.empty()) return;
    const std::string command = "losetup --detach " + device_path;
    EXPECT_EQ(std::system(command.c_str()), 0);
    device_path.clear();
  }
  ~KernelDeviceTest() override {
    detach();
    std::filesystem::remove(file);
  }

  std::unique_ptr<io::Reactor> reactor;
  std::string file;
  std::string device_path;
};

io::Task<void> use_it(io::Reactor& reactor, Device& device) {
  auto buffer = reactor.buffers().allocate(64u << 10);
  auto back = reactor.buffers().allocate(64u << 10);
  std::fill(buffer->bytes().begin(), buffer->bytes().end(), std::uint8_t{0x77});
  auto written = co_await device.write(1u << 20, buffer->bytes(), WriteFlags::kFua);
  EXPECT_TRUE(written.has_value());
  auto flushed = co_await device.flush();
  EXPECT_TRUE(flushed.has_value());
  auto read = co_await device.read(1u << 20, back->bytes());
  EXPECT_TRUE(read.has_value());
  EXPECT_TRUE(std::equal(back->bytes().begin(), back->bytes().end(), buffer->bytes().begin()));
  auto zeroed = co_await device.write_zeroes(1u << 20, 32u << 10, false);
  EXPECT_TRUE(zeroed.has_value());
  if (device.capabilities().unmap) {
    auto unmapped = co_await device.unmap((1u << 20) + (32u << 10), 32u << 10);
    EXPECT_TRUE(unmapped.has_value());
    read = co_await device.read(1u << 20, back->bytes());
    EXPECT_TRUE(read.has_value());
    const auto bytes = back->bytes();
    EXPECT_TRUE(std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte == 0; }));
  }
}

TEST_F(KernelDeviceTest, TakesItsGeometryFromTheKernel) {
  // Containers have no loop devices; the same holds for the test below.
  if (!attach("--sector-size 4096")) GTEST_SKIP() << "no loop device to be had";
  {
    const auto device = open_device(device_path, {});
    ASSERT_TRUE(device.has_value()) << device.error().text();
    EXPECT_EQ((*device)->geometry().logical_block_size, 4096u);
    EXPECT_EQ((*device)->geometry().size, 16u << 20);
    EXPECT_TRUE((*device)->capabilities().volatile_cache);
    io::testing::run(*reactor, use_it(*reactor, **device));
    EXPECT_FALSE(open_device(device_path, {}).has_value()) << "it is opened exclusively";
    OpenOptions smaller;
    smaller.logical_block_size = 512;
    smaller.read_only = true;
    EXPECT_FALSE(open_device(device_path, smaller).has_value()) << "blocks smaller than the device's own";
  }
  // A ring holds the file of an operation until it turns after that operation's end.
  io::testing::run(*reactor, io::sleep(*reactor, std::chrono::milliseconds(1)));
  std::filesystem::resize_file(file, 32u << 20);
  const auto device = open_device(device_path, {});
  ASSERT_TRUE(device.has_value()) << device.error().text();
  const std::string command = "losetup --set-capacity " + device_path;
  EXPECT_EQ(std::system(command.c_str()), 0);
  EXPECT_TRUE((*device)->refresh_size().value());
  EXPECT_EQ((*device)->geometry().size, 32u << 20);
}

TEST_F(KernelDeviceTest, AReadOnlyDeviceIsServedReadOnly) {
  if (!attach("--read-only")) GTEST_SKIP() << "no loop device to be had";
  OpenOptions options;
  options.read_only = true;
  const auto device = open_device(device_path, options);
  ASSERT_TRUE(device.has_value()) << device.error().text();
  EXPECT_TRUE((*device)->capabilities().read_only);
  EXPECT_FALSE((*device)->capabilities().volatile_cache);
}

}  // namespace
}  // namespace peerlane::block
