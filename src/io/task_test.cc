#include "io/task.h"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "io/event.h"

namespace peerlane::io {
namespace {

Task<int> add(int a, int b) {
  co_return a + b;
}

Task<int> wait_then(Event& event, int value) {
  co_await event;
  co_return value;
}

Task<void> sum_up(int count, int& total) {
  for (int i = 0; i < count; ++i) {
    const int one = co_await add(0, 1);
    total += one;
  }
}

TEST(Task, ChildrenThatDoNotWaitDoNotGrowTheStack) {
  int total = 0;
  spawn(sum_up(1'000'000, total));
  EXPECT_EQ(total, 1'000'000);
}

Task<void> store(Event& event, int& into) {
  into = co_await wait_then(event, 7);
}

TEST(Task, ResumesItsParentWhenWhatItWaitedForHappens) {
  Event event;
  int got = 0;
  spawn(store(event, got));
  EXPECT_EQ(got, 0);
  event.set();
  EXPECT_EQ(got, 7);
}

Task<void> hold(std::shared_ptr<int> value, Event& event) {
  co_await event;
  ++*value;
}

TEST(Task, FramesAreFreedWhetherTheyRanOrNot) {
  auto value = std::make_shared<int>(0);
  Event event;
  {
    const Task<void> never_started = hold(value, event);
  }
  EXPECT_EQ(value.use_count(), 1);
  spawn(hold(value, event));
  EXPECT_EQ(value.use_count(), 2);
  event.set();
  EXPECT_EQ(value.use_count(), 1);
  EXPECT_EQ(*value, 1);
}

Task<void> append(Event& event, std::vector<int>& order, int value) {
  co_await event;
  order.push_back(value);
}

TEST(Event, WakesInOrderAndStaysSet) {
  Event event;
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) spawn(append(event, order, i));
  event.wake_all();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
  spawn(append(event, order, 3));
  EXPECT_EQ(order.size(), 3u);
  event.set();
  spawn(append(event, order, 4));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
}

Task<void> work(Gate& gate, Event& event) {
  const Gate::Pass pass(gate);
  co_await event;
}

Task<void> wait_drained(Gate& gate, bool& drained) {
  co_await gate.drained();
  drained = true;
}

TEST(Gate, IsDrainedWhenTheLastLeaves) {
  Gate gate;
  Event first;
  Event second;
  spawn(work(gate, first));
  spawn(work(gate, second));
  bool drained = false;
  spawn(wait_drained(gate, drained));
  first.set();
  EXPECT_FALSE(drained);
  second.set();
  EXPECT_TRUE(drained);
  drained = false;
  spawn(wait_drained(gate, drained));
  EXPECT_TRUE(drained) << "an empty gate does not make anyone wait";
}

Task<int> count_call(int& calls) {
  ++calls;
  return ready(5);
}

Task<void> await_it(Task<int> task, int& into) {
  into = co_await std::move(task);
}

TEST(Task, OneThatIsReadyGivesItsValue) {
  int calls = 0;
  int got = 0;
  auto task = count_call(calls);
  EXPECT_EQ(calls, 1);
  spawn(await_it(std::move(task), got));
  EXPECT_EQ(got, 5);
  spawn(ready());
}

TEST(Task, LaterCallsOnlyWhenItIsAwaited) {
  int calls = 0;
  int got = 0;
  auto task = later([&calls] { return count_call(calls); });
  EXPECT_EQ(calls, 0);
  spawn(await_it(std::move(task), got));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(got, 5);
}

TEST(Task, AReadyValueThatNobodyAwaitsIsFreed) {
  auto value = std::make_shared<int>(0);
  {
    const auto task = ready(value);
  }
  EXPECT_EQ(value.use_count(), 1);
}

}  // namespace
}  // namespace peerlane::io
