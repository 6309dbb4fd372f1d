#include "block/throttle_device.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "block/delay_device.h"
#include "block/fault_device.h"
#include "block/ram_device.h"
#include "io/event.h"
#include "io/testing.h"

namespace peerlane::block {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<Device> ram() {
  return std::move(*RamDevice::create(1u << 20, 512, false, "ram:test"));
}

TEST(TokenBucket, GivesABurstAndThenItsRate) {
  TokenBucket bucket(1000, 10);
  const io::TimePoint start{std::chrono::hours(1)};
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(bucket.wait(1, start), 0ns) << i;
    bucket.take(1, start);
  }
  for (int i = 1; i <= 100; ++i) {
    EXPECT_EQ(bucket.wait(1, start), i * 1ms);
    bucket.take(1, start);
  }
  // The debt is paid, and a rest gives one burst, not more.
  const io::TimePoint later = start + 10s;
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(bucket.wait(1, later), 0ns) << i;
    bucket.take(1, later);
  }
  EXPECT_EQ(bucket.wait(1, later), 1ms);
}

TEST(TokenBucket, MoreThanABurstLeavesADebt) {
  TokenBucket bucket(1'000'000, 100'000);
  const io::TimePoint start{std::chrono::hours(1)};
  EXPECT_EQ(bucket.wait(500'000, start), 0ns) << "the bucket is full";
  bucket.take(500'000, start);
  EXPECT_EQ(bucket.wait(100'000, start), 500ms);
}

io::Task<void> keep_reading(Device& device, int count, std::size_t bytes, int& ended, std::vector<int>& order,
                            int name) {
  std::vector<std::uint8_t> into(bytes);
  for (int i = 0; i < count; ++i) {
    const auto read = co_await device.read(0, into);
    EXPECT_TRUE(read);
    order.push_back(name);
    ++ended;
  }
}

struct Count {
  int ended = 0;
  std::vector<int> order;
};

io::Task<void> measure(Device& device, int readers, int each, std::size_t bytes, Count& count, io::Duration& took) {
  const auto start = io::Reactor::current().now();
  for (int reader = 0; reader < readers; ++reader) {
    io::spawn(keep_reading(device, each, bytes, count.ended, count.order, reader));
  }
  co_await io::testing::until([&count, all = readers * each] { return count.ended == all; });
  took = io::Clock::now() - start;
}

io::Duration time_of(const ThrottleOptions& options, int readers, int each, std::size_t bytes, Count& count) {
  auto reactor = io::Reactor::create();
  ThrottleDevice device(ram(), options);
  io::Duration took{};
  io::testing::run(**reactor, measure(device, readers, each, bytes, count, took));
  EXPECT_GT(device.statistics().throttle.delayed, 0u);
  EXPECT_EQ(device.statistics().throttle.refused, 0u);
  return took;
}

// The upper bounds are wide, since a loaded machine is late; the lower ones are what the limit promises.
TEST(ThrottleDevice, LimitsIos) {
  Count count;
  const auto took = time_of({.iops = 500, .iops_burst = 10}, 4, 25, 512, count);
  EXPECT_GE(took, 179ms);  // 90 of the 100 at 500 a second
  EXPECT_LT(took, 2s);
}

TEST(ThrottleDevice, LimitsBandwidth) {
  Count count;
  const auto took = time_of({.bandwidth = 1u << 20, .bandwidth_burst = 64u << 10}, 2, 4, 64u << 10, count);
  EXPECT_GE(took, 436ms);  // 7 of the 8 at 16 a second
  EXPECT_LT(took, 3s);
}

TEST(ThrottleDevice, ServesInTheOrderOfArrival) {
  Count count;
  time_of({.iops = 1000, .iops_burst = 3}, 50, 1, 512, count);
  EXPECT_TRUE(std::ranges::is_sorted(count.order));
}

io::Task<void> ask(Device& device, int& good, int& refused, std::span<std::uint8_t> into, int& ended) {
  const auto read = co_await device.read(0, into);
  if (read) ++good;
  if (!read && read.error().code == EAGAIN) ++refused;
  ++ended;
}

io::Task<void> ask_for_too_much(Device& device, int& good, int& refused) {
  std::vector<std::uint8_t> into(512);
  int ended = 0;
  for (int i = 0; i < 100; ++i) io::spawn(ask(device, good, refused, into, ended));
  co_await io::testing::until([&ended] { return ended == 100; });
}

TEST(ThrottleDevice, RefusesWhatWouldWaitTooLong) {
  auto reactor = io::Reactor::create();
  ThrottleDevice device(ram(), {.iops = 10, .iops_burst = 5});
  int good = 0;
  int refused = 0;
  io::testing::run(**reactor, ask_for_too_much(device, good, refused));
  EXPECT_EQ(good, 5 + 10 * std::chrono::seconds(limits::kThrottleWait).count());
  EXPECT_EQ(good + refused, 100);
  EXPECT_EQ(device.statistics().throttle.refused, static_cast<std::uint64_t>(refused));
}

io::Task<void> time_operations(Device& device, io::Duration& reading, io::Duration& flushing) {
  std::vector<std::uint8_t> bytes(512);
  auto start = io::Clock::now();
  const auto read = co_await device.read(0, bytes);
  EXPECT_TRUE(read);
  reading = io::Clock::now() - start;
  start = io::Clock::now();
  const auto flushed = co_await device.flush();
  EXPECT_TRUE(flushed);
  flushing = io::Clock::now() - start;
}

TEST(DelayDevice, EachOperationTakesItsTime) {
  auto reactor = io::Reactor::create();
  DelayDevice device(ram(), {.read = 20ms, .flush = 40ms});
  io::Duration reading{};
  io::Duration flushing{};
  io::testing::run(**reactor, time_operations(device, reading, flushing));
  EXPECT_GE(reading, 20ms);
  EXPECT_GE(flushing, 40ms);
}

/// The results of `count` reads at `offset`: 0, or the error.
io::Task<void> read_errors(Device& device, std::uint64_t offset, int count, std::vector<int>& errors) {
  std::vector<std::uint8_t> bytes(512);
  for (int i = 0; i < count; ++i) {
    const auto read = co_await device.read(offset, bytes);
    errors.push_back(read ? 0 : read.error().code);
  }
}
std::vector<int> errors_of(const FaultRule& rule, std::uint64_t offset, int count) {
  FaultDevice device(ram(), std::span(&rule, 1));
  std::vector<int> errors;
  io::spawn(read_errors(device, offset, count, errors));
  EXPECT_EQ(device.statistics().fault.injected,
            static_cast<std::uint64_t>(std::ranges::count_if(errors, [](int error) { return error != 0; })));
  return errors;
}

TEST(FaultDevice, StrikesWhereAndAsOftenAsTheRuleSays) {
  EXPECT_EQ(errors_of({.error = ENOSPC, .after = 2, .count = 2}, 0, 6), (std::vector<int>{0, 0, ENOSPC, ENOSPC, 0, 0}));
  EXPECT_EQ(errors_of({.operation = FaultOperation::kWrite}, 0, 2), (std::vector<int>{0, 0}));
  EXPECT_EQ(errors_of({.offset = 1024, .length = 512}, 512, 1), (std::vector<int>{0}));
  EXPECT_EQ(errors_of({.offset = 1024, .length = 512}, 1024, 1), (std::vector<int>{EIO}));
  EXPECT_EQ(errors_of({.offset = 1024, .length = 512}, 1536, 1), (std::vector<int>{0}));
  EXPECT_EQ(errors_of({.offset = 700, .length = 1}, 512, 1), (std::vector<int>{EIO}));
}

TEST(FaultDevice, ChanceIsThatOfTheSeed) {
  const auto errors = errors_of({.probability = 0.25, .seed = 7}, 0, 1000);
  EXPECT_NEAR(static_cast<double>(std::ranges::count(errors, EIO)), 250, 60);
  EXPECT_EQ(errors, errors_of({.probability = 0.25, .seed = 7}, 0, 1000));
  EXPECT_NE(errors, errors_of({.probability = 0.25, .seed = 8}, 0, 1000));
  EXPECT_EQ(std::ranges::count(errors_of({.probability = 0}, 0, 100), EIO), 0);
}

}  // namespace
}  // namespace peerlane::block
