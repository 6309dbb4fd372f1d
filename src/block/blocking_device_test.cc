#include "block/blocking_device.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <random>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "block/testing/sector_model.h"
#include "io/event.h"

namespace peerlane::block {
namespace {

using namespace std::chrono_literals;
using testing::kSectorBytes;

constexpr std::uint64_t kSectors = 4096;

/// A disk in memory whose operations take a moment; they can be held back, so that many are under way together.
class SlowDevice final : public Device {
 public:
  struct Seen {
    std::atomic<unsigned> under_way{0};
    std::atomic<unsigned> most{0};
    std::atomic<unsigned> closed{0};
    std::atomic<const void*> buffer{nullptr};
    std::atomic<bool> durable{false};
    unsigned hold = 0;  // operations wait until so many are under way
    bool read_only = false;
    bool fail_close = false;
    std::uint32_t alignment = 1;
  };

  explicit SlowDevice(Seen& seen) : seen_(seen), bytes_(kSectors * kSectorBytes) {}

  Geometry geometry() const override {
    return {.size = bytes_.size(), .logical_block_size = kSectorBytes, .physical_block_size = kSectorBytes};
  }
  Capabilities capabilities() const override { return {.read_only = seen_.read_only, .write_zeroes = true}; }
  Identity identity() const override { return {.spec = "slow", .stable = {}}; }
  std::uint32_t memory_alignment() const override { return seen_.alignment; }

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override {
    seen_.buffer.store(into.data());
    co_await turn();
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
    co_return Result<void>();
  }
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) override {
    seen_.buffer.store(from.data());
    seen_.durable.store(flags == WriteFlags::kFua);
    co_await turn();
    std::copy(from.begin(), from.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
    co_return Result<void>();
  }
  io::Task<Result<void>> flush() override {
    co_await turn();
    co_return fail(EIO, "the flush failed");
  }
  io::Task<Result<void>> unmap(std::uint64_t, std::uint64_t) override { co_return fail(ENOTSUP); }
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool) override {
    co_await turn();
    std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), length, std::uint8_t{0});
    co_return Result<void>();
  }
  io::Task<Result<std::vector<Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                   std::size_t most) override {
    std::vector<Extent> extents;
    for (; length > 0 && extents.size() < most; offset += kSectorBytes, length -= kSectorBytes) {
      extents.push_back({offset, kSectorBytes, extents.size() % 2 == 0});
    }
    co_return extents;
  }
  Result<bool> refresh_size() override { return true; }
  io::Task<Result<void>> close() override {
    EXPECT_EQ(0u, seen_.under_way.load());
    seen_.closed.fetch_add(1);
    if (seen_.fail_close) co_return fail(ENOSPC, "what was cached has no place");
    co_return Result<void>();
  }

 private:
  io::Task<void> turn() {
    const unsigned now = seen_.under_way.fetch_add(1) + 1;
    seen_.most.store(std::max(seen_.most.load(), now));
    if (now >= seen_.hold) enough_.set();
    co_await enough_;
    co_await io::sleep(io::Reactor::current(), 100us);
    seen_.under_way.fetch_sub(1);
  }

  Seen& seen_;
  io::Event enough_;
  std::vector<std::uint8_t> bytes_;
};

io::Task<Result<std::unique_ptr<Device>>> open_slow(SlowDevice::Seen& seen) {
  co_await io::sleep(io::Reactor::current(), 1ms);
  std::unique_ptr<Device> device = std::make_unique<SlowDevice>(seen);
  co_return Result<std::unique_ptr<Device>>(std::move(device));
}

io::Task<Result<std::unique_ptr<Device>>> refuse() {
  co_await io::sleep(io::Reactor::current(), 1ms);
  co_return fail(ECONNREFUSED, "nobody is there");
}

std::unique_ptr<BlockingDevice> opened(SlowDevice::Seen& seen) {
  auto disk = BlockingDevice::open([&seen](io::Reactor&) { return open_slow(seen); });
  EXPECT_TRUE(disk) << (disk ? "" : disk.error().text());
  return std::move(*disk);
}

template <typename T>
int code_of(const Result<T>& result) {
  return result ? 0 : result.error().code;
}

TEST(BlockingDevice, TellsWhyItDoesNotOpen) {
  const auto disk = BlockingDevice::open([](io::Reactor&) { return refuse(); });
  ASSERT_FALSE(disk);
  EXPECT_EQ(ECONNREFUSED, disk.error().code);
  EXPECT_EQ("nobody is there", disk.error().text());
}

TEST(BlockingDevice, UsesBuffersInPlaceAndPassesFlagsOn) {
  SlowDevice::Seen seen;
  const auto disk = opened(seen);
  const std::vector<std::uint8_t> data(3 * kSectorBytes, 7);
  ASSERT_TRUE(disk->write(kSectorBytes, data));
  EXPECT_EQ(data.data(), seen.buffer.load());
  EXPECT_FALSE(seen.durable.load());
  ASSERT_TRUE(disk->write(kSectorBytes, data, WriteFlags::kFua));
  EXPECT_TRUE(seen.durable.load());
  std::vector<std::uint8_t> read(data.size());
  ASSERT_TRUE(disk->read(kSectorBytes, read));
  EXPECT_EQ(read.data(), seen.buffer.load());
  EXPECT_EQ(data, read);
  ASSERT_TRUE(disk->write_zeroes(2 * kSectorBytes, kSectorBytes, false));
  ASSERT_TRUE(disk->read(kSectorBytes, read));
  EXPECT_EQ(7, read[kSectorBytes - 1]);
  EXPECT_EQ(0, read[kSectorBytes]);
  EXPECT_EQ(7, read[2 * kSectorBytes]);
}

TEST(BlockingDevice, PassesOnWhatTheDeviceAnswers) {
  SlowDevice::Seen seen;
  const auto disk = opened(seen);
  const auto flushed = disk->flush();
  ASSERT_FALSE(flushed);
  EXPECT_EQ("the flush failed", flushed.error().text());
  EXPECT_EQ(ENOTSUP, code_of(disk->unmap(0, kSectorBytes)));
  const auto extents = disk->allocation(kSectorBytes, 8 * kSectorBytes, 2);
  ASSERT_TRUE(extents);
  ASSERT_EQ(2u, extents->size());
  EXPECT_EQ(2 * kSectorBytes, extents->at(1).offset);
  EXPECT_FALSE(extents->at(1).allocated);
  EXPECT_TRUE(disk->refresh_size().value());
}

TEST(BlockingDevice, RefusesWhatIsNotOnTheDisk) {
  SlowDevice::Seen seen;
  seen.alignment = 8;
  const auto disk = opened(seen);
  alignas(8) std::array<std::uint8_t, kSectorBytes + 8> memory{};
  const ByteSpan buffer(memory.data(), kSectorBytes);
  const std::uint64_t size = disk->geometry().size;
  EXPECT_EQ(EINVAL, code_of(disk->read(1, buffer)));
  EXPECT_EQ(EINVAL, code_of(disk->read(0, buffer.first(kSectorBytes - 1))));
  EXPECT_EQ(EINVAL, code_of(disk->read(size, buffer)));
  EXPECT_EQ(EINVAL, code_of(disk->write(UINT64_MAX - kSectorBytes + 1, buffer)));
  EXPECT_EQ(EINVAL, code_of(disk->write_zeroes(kSectorBytes, size, true)));
  EXPECT_EQ(EINVAL, code_of(disk->write_zeroes(kSectorBytes, UINT64_MAX - kSectorBytes + 1, true)));
  EXPECT_EQ(EINVAL, code_of(disk->unmap(size - kSectorBytes, 2 * kSectorBytes)));
  EXPECT_EQ(EINVAL, code_of(disk->allocation(7, kSectorBytes, 1)));
  EXPECT_EQ(EINVAL, code_of(disk->read(0, ByteSpan(memory.data() + 1, kSectorBytes))));
  EXPECT_EQ(nullptr, seen.buffer.load()) << "the device was asked";
  EXPECT_TRUE(disk->read(size - kSectorBytes, buffer));
  EXPECT_TRUE(disk->read(size, buffer.first(0)));
}

TEST(BlockingDevice, RefusesChangesOfAReadOnlyDisk) {
  SlowDevice::Seen seen;
  seen.read_only = true;
  const auto disk = opened(seen);
  std::vector<std::uint8_t> buffer(kSectorBytes);
  EXPECT_TRUE(disk->read(0, buffer));
  EXPECT_EQ(EROFS, code_of(disk->write(0, buffer)));
  EXPECT_EQ(EROFS, code_of(disk->unmap(0, kSectorBytes)));
  EXPECT_EQ(EROFS, code_of(disk->write_zeroes(0, kSectorBytes, false)));
}

TEST(BlockingDevice, CallsOfManyThreadsAreUnderWayTogether) {
  constexpr unsigned kThreads = 16;
  SlowDevice::Seen seen;
  seen.hold = kThreads;  // nobody comes back before all are there
  const auto disk = opened(seen);
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < kThreads; ++i) {
    threads.emplace_back([&disk, i] {
      std::vector<std::uint8_t> buffer(kSectorBytes, static_cast<std::uint8_t>(i));
      EXPECT_TRUE(disk->write(i * kSectorBytes, buffer));
    });
  }
  threads.clear();
  EXPECT_EQ(kThreads, seen.most.load());
}

TEST(BlockingDevice, ThreadsDoNotDisturbEachOther) {
  constexpr unsigned kThreads = 8;
  constexpr unsigned kTurns = 200;
  SlowDevice::Seen seen;
  const auto disk = opened(seen);
  std::vector<std::jthread> threads;
  for (unsigned number = 0; number < kThreads; ++number) {
    threads.emplace_back([&disk, number] {
      std::mt19937 random(number);
      const std::uint64_t share = kSectors / kThreads;
      for (unsigned turn = 0; turn < kTurns; ++turn) {
        std::vector<std::uint8_t> data((1 + random() % 8) * kSectorBytes);
        std::ranges::generate(data, [&random] { return static_cast<std::uint8_t>(random()); });
        const std::uint64_t offset = (number * share + random() % (share - 8)) * kSectorBytes;
        ASSERT_TRUE(disk->write(offset, data));
        std::vector<std::uint8_t> read(data.size());
        ASSERT_TRUE(disk->read(offset, read));
        ASSERT_EQ(data, read);
      }
    });
  }
}

TEST(BlockingDevice, CloseWaitsForCallsAndRefusesLaterOnes) {
  for (unsigned turn = 0; turn < 20; ++turn) {
    SlowDevice::Seen seen;
    const auto disk = opened(seen);
    std::atomic<unsigned> refused{0};
    std::atomic<unsigned> done{0};
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        std::vector<std::uint8_t> buffer(kSectorBytes);
        for (;;) {
          const int code = code_of(disk->read(0, buffer));
          if (code == 0) {
            done.fetch_add(1);
            continue;
          }
          EXPECT_EQ(EBADF, code);
          refused.fetch_add(1);
          return;
        }
      });
    }
    while (done.load() < 8) std::this_thread::yield();
    EXPECT_TRUE(disk->close());
    threads.clear();
    EXPECT_EQ(4u, refused.load());
    EXPECT_EQ(1u, seen.closed.load());
    EXPECT_EQ(EBADF, code_of(disk->close()));
    EXPECT_EQ(kSectors * kSectorBytes, disk->geometry().size);
  }
}

TEST(BlockingDevice, SaysThatClosingFailed) {
  SlowDevice::Seen seen;
  seen.fail_close = true;
  const auto disk = opened(seen);
  EXPECT_EQ(ENOSPC, code_of(disk->close()));
}

TEST(BlockingDevice, IsClosedWhenItGoes) {
  SlowDevice::Seen seen;
  opened(seen).reset();
  EXPECT_EQ(1u, seen.closed.load());
}

}  // namespace
}  // namespace peerlane::block
