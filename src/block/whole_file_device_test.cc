#include "block/whole_file_device.h"

#include <cstring>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "io/testing.h"

namespace peerlane::block {
namespace {

using Growth = WholeFileDevice::Growth;

class WholeFileTest : public ::testing::Test {
 protected:
  void TearDown() override { unlink(path_.c_str()); }

  void make(std::size_t size) {
    std::mt19937 random(7);
    content_.resize(size);
    for (char& byte : content_) byte = static_cast<char>(random());
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << content_;
  }
  std::string on_disk() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  std::unique_ptr<WholeFileDevice> open(Growth growth = Growth::kFixed, bool direct = true) {
    return *WholeFileDevice::open(path_, {.logical_block_size = 0, .read_only = false, .direct = direct}, growth);
  }

  Result<void> read(Device& device, std::uint64_t offset, ByteSpan into) {
    Result<void> result;
    io::testing::run(*reactor_, into_result(result, device.read(offset, into)));
    return result;
  }
  Result<void> write(Device& device, std::uint64_t offset, ByteView from) {
    Result<void> result;
    io::testing::run(*reactor_, into_result(result, device.write(offset, from, WriteFlags::kNone)));
    return result;
  }
  static io::Task<void> into_result(Result<void>& result, io::Task<Result<void>> task) {
    result = co_await std::move(task);
  }

  ByteSpan memory(std::size_t size) {
    buffer_ = *reactor_->buffers().allocate(size);
    return buffer_.bytes();
  }

  const std::string path_ = fmt::format("/var/tmp/peerlane-whole-file-test-{}", getpid());
  std::string content_;
  std::unique_ptr<io::Reactor> reactor_ = *io::Reactor::create();
  io::Buffer buffer_;
};

TEST_F(WholeFileTest, HasAllBytesAndZeroesBehindThem) {
  for (const std::size_t size : {1UL, 511UL, 512UL, 4095UL, 4096UL, 4097UL, 8191UL, 12288UL, 20001UL}) {
    for (const bool direct : {true, false}) {
      SCOPED_TRACE(size);
      make(size);
      const auto device = open(Growth::kFixed, direct);
      const std::size_t padded = (size + 511) / 512 * 512;
      EXPECT_EQ(size, device->bytes());
      EXPECT_EQ(padded, device->geometry().size);
      const ByteSpan bytes = memory(padded);
      std::memset(bytes.data(), 0xee, padded);
      ASSERT_TRUE(read(*device, 0, bytes));
      std::string expected = content_;
      expected.resize(padded);
      EXPECT_TRUE(as_text(bytes) == expected);
      // The last block alone.
      std::memset(bytes.data(), 0xee, 512);
      ASSERT_TRUE(read(*device, padded - 512, bytes.first(512)));
      EXPECT_TRUE(as_text(bytes.first(512)) == expected.substr(padded - 512));
      buffer_.release();
    }
  }
}

TEST_F(WholeFileTest, WritesNothingBehindTheEnd) {
  for (const std::size_t size : {1UL, 513UL, 4097UL, 12289UL}) {
    SCOPED_TRACE(size);
    make(size);
    const std::size_t padded = (size + 511) / 512 * 512;
    {
      const auto device = open();
      const ByteSpan bytes = memory(padded);
      std::memset(bytes.data(), 'x', padded);
      ASSERT_TRUE(write(*device, 0, bytes));
      buffer_.release();
    }
    EXPECT_EQ(std::string(size, 'x'), on_disk());
  }
}

TEST_F(WholeFileTest, ReportsAFileThatHasShrunk) {
  make(20001);
  const auto device = open();
  ASSERT_EQ(0, truncate(path_.c_str(), 6000));
  const ByteSpan bytes = memory(4096);
  EXPECT_TRUE(read(*device, 0, bytes));
  EXPECT_EQ(EIO, read(*device, 8192, bytes).error().code);
  EXPECT_EQ(EIO, read(*device, 16384, bytes).error().code);
  buffer_.release();
}

TEST_F(WholeFileTest, GrowsToTheExactSizeInTheEnd) {
  make(1000);
  {
    const auto device = open(Growth::kGrowing);
    const ByteSpan bytes = memory(8192);
    std::memset(bytes.data(), 'a', 8192);
    ASSERT_TRUE(write(*device, 16384, bytes));
    EXPECT_EQ(24576U, device->bytes());
    ASSERT_TRUE(read(*device, 512, bytes.first(1024)));
    EXPECT_TRUE(as_text(bytes.first(488)) == content_.substr(512));
    EXPECT_TRUE(as_text(bytes.subspan(488, 536)) == std::string(536, '\0'));
    ASSERT_TRUE(read(*device, 1u << 20, bytes.first(512)));
    EXPECT_TRUE(as_text(bytes.first(512)) == std::string(512, '\0'));
    ASSERT_TRUE(device->resize(20001));
    buffer_.release();
  }
  std::string expected = content_;
  expected.resize(16384);
  expected += std::string(20001 - 16384, 'a');
  EXPECT_TRUE(expected == on_disk());
}

TEST_F(WholeFileTest, MayBeEmpty) {
  make(0);
  const auto device = open();
  EXPECT_EQ(0U, device->bytes());
  EXPECT_EQ(0U, device->geometry().size);
  ASSERT_TRUE(device->resize(5000));
  EXPECT_EQ(5120U, device->geometry().size);
}

TEST_F(WholeFileTest, KnowsAChangeAndAnotherFileOfItsName) {
  make(4096);
  auto device = open();
  const std::string identity = device->file_identity();
  const std::string version = device->version();
  usleep(20'000);
  const ByteSpan bytes = memory(4096);
  std::memset(bytes.data(), 1, 4096);
  ASSERT_TRUE(write(*device, 0, bytes));
  buffer_.release();
  EXPECT_EQ(identity, device->file_identity());
  EXPECT_NE(version, device->version());
  const std::string moved = path_ + ".moved";
  ASSERT_EQ(0, rename(path_.c_str(), moved.c_str()));
  make(4096);
  device = open();
  EXPECT_NE(identity, device->file_identity());
  unlink(moved.c_str());
}

}  // namespace
}  // namespace peerlane::block
