#include "io/background.h"

#include <atomic>
#include <chrono>

#include <gtest/gtest.h>

#include "io/background_share.h"
#include "io/event.h"
#include "io/reactor.h"
#include "io/testing.h"

namespace peerlane::io {
namespace {

using namespace std::chrono_literals;

/// Counts the calls that are on a thread at the same time.
struct Meter {
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  int enter(int value) {
    int seen = most.load();
    const int now = ++inside;
    while (now > seen && !most.compare_exchange_weak(seen, now)) {
    }
    std::this_thread::sleep_for(5ms);
    --inside;
    return value;
  }
};

Task<void> call(Background& background, Meter& meter, int value, int& sum, Gate& gate) {
  const Gate::Pass inside(gate);
  const auto caller = std::this_thread::get_id();
  const int got = co_await background.run(Reactor::current(), [&] {
    EXPECT_NE(caller, std::this_thread::get_id());
    return meter.enter(value);
  });
  EXPECT_EQ(caller, std::this_thread::get_id());
  sum += got;
}

Task<void> call_all(Background& background, Meter& meter, int& sum) {
  Gate gate;
  for (int i = 1; i <= 20; ++i) spawn(call(background, meter, i, sum, gate));
  co_await gate.drained();
}

Task<void> call_failing(Background& background, int& result) {
  result = co_await background.run(Reactor::current(), [] {
    errno = ENOTTY;
    return -1;
  });
}

TEST(BackgroundTest, CarriesOutManyCallsOnFewThreadsAndResumesAtHome) {
  const auto reactor = *Reactor::create();
  Background background(3);
  Meter meter;
  int sum = 0;
  testing::run(*reactor, call_all(background, meter, sum));
  EXPECT_EQ(sum, 210);
  EXPECT_LE(meter.most.load(), 3);
  EXPECT_GE(meter.most.load(), 2);
}

Task<void> call_a_share(BackgroundShare& share, Meter& meter, int value, int& sum, Gate& gate) {
  const Gate::Pass inside(gate);
  const auto enter = [&] { return meter.enter(value); };
  sum += co_await share.run(enter);
}

Task<void> call_shares(Meter (&meters)[2], int& sum) {
  BackgroundShare shares[] = {BackgroundShare(2), BackgroundShare(1)};
  Gate gate;
  for (int i = 1; i <= 10; ++i) {
    spawn(call_a_share(shares[0], meters[0], i, sum, gate));
    spawn(call_a_share(shares[1], meters[1], i, sum, gate));
  }
  co_await gate.drained();
}

TEST(BackgroundTest, AShareLeavesTheOthersTheirThreads) {
  const auto reactor = *Reactor::create();
  Meter meters[2];
  int sum = 0;
  testing::run(*reactor, call_shares(meters, sum));
  EXPECT_EQ(sum, 110);
  EXPECT_EQ(meters[0].most.load(), 2);
  EXPECT_EQ(meters[1].most.load(), 1);
}

TEST(BackgroundTest, GivesTheSystemsErrorOfTheThread) {
  const auto reactor = *Reactor::create();
  Background background(1);
  int result = 0;
  testing::run(*reactor, call_failing(background, result));
  EXPECT_EQ(result, -ENOTTY);
}

TEST(BackgroundTest, EndsWithoutHavingBeenUsed) {
  const Background background(4);
}

}  // namespace
}  // namespace peerlane::io
