#include "target/turn.h"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "io/testing.h"
#include "target/testing/run.h"

namespace peerlane::target {
namespace {

io::Task<void> take_and_note(Turn& turn, std::vector<int>& order, int number) {
  co_await turn.take();
  order.push_back(number);
  co_await io::sleep(io::Reactor::current(), std::chrono::milliseconds(1));
  order.push_back(number);
  turn.give();
}

io::Task<void> all(Turn& turn, std::vector<int>& order) {
  io::spawn(take_and_note(turn, order, 1));
  io::spawn(take_and_note(turn, order, 2));
  io::spawn(take_and_note(turn, order, 3));
  co_await take_and_note(turn, order, 4);
}

io::Task<void> count(Turn& turn, int& counter, int times) {
  for (int i = 0; i < times; ++i) {
    co_await turn.take();
    const int before = counter;
    if (i % 16 == 0) co_await io::sleep(io::Reactor::current(), std::chrono::microseconds(50));
    counter = before + 1;
    turn.give();
  }
}

TEST(Turn, TheyComeInOrderAndOneAtATime) {
  const auto reactor = *io::Reactor::create();
  Turn turn;
  std::vector<int> order;
  io::testing::run(*reactor, all(turn, order));
  EXPECT_EQ(order, (std::vector<int>{1, 1, 2, 2, 3, 3, 4, 4}));
}

TEST(Turn, NobodyWaitsForAFreeOne) {
  Turn turn;
  for (int i = 0; i < 3; ++i) {
    io::Task<void> taking = turn.take();
    bool taken = false;
    io::spawn([](io::Task<void> task, bool& done) -> io::Task<void> {
      co_await std::move(task);
      done = true;
    }(std::move(taking), taken));
    EXPECT_TRUE(taken);
    turn.give();
  }
}

TEST(Turn, SeveralReactorsTakeTurns) {
  Turn turn;
  int counter = 0;
  constexpr int kTimes = 400;
  const auto work = [&] {
    const auto reactor = *io::Reactor::create();
    io::testing::run(*reactor, count(turn, counter, kTimes));
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back(work);
  }
  EXPECT_EQ(counter, 3 * kTimes);
}

}  // namespace
}  // namespace peerlane::target
