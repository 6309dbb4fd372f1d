#include "io/reactor.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/testing.h"

namespace peerlane::io {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<Reactor> make_reactor(const Features& features = {}) {
  auto reactor = Reactor::create(features);
  EXPECT_TRUE(reactor.has_value()) << reactor.error().text();
  return std::move(*reactor);
}

TEST(Reactor, TimersFireInOrderAndCanBeDisarmed) {
  const auto reactor = make_reactor();
  std::vector<int> fired;
  Timer late(*reactor, [&] {
    fired.push_back(2);
    reactor->stop();
  });
  Timer early(*reactor, [&] { fired.push_back(1); });
  Timer never(*reactor, [&] { fired.push_back(3); });
  late.arm_after(20ms);
  early.arm_after(5ms);
  never.arm_after(10ms);
  never.disarm();
  early.arm_after(8ms);
  reactor->run();
  EXPECT_EQ(fired, (std::vector<int>{1, 2}));
}

struct CountedDeferred final : Deferred {
  int runs = 0;
  void run_deferred() override { ++runs; }
};

TEST(Reactor, DeferredRunsOnceARoundHoweverOftenAsked) {
  const auto reactor = make_reactor();
  CountedDeferred deferred;
  reactor->post([&] {
    reactor->defer(deferred);
    reactor->defer(deferred);
  });
  Timer end(*reactor, [&] { reactor->stop(); });
  end.arm_after(5ms);
  reactor->run();
  EXPECT_EQ(deferred.runs, 1);
}

// Polling changes when the loop sleeps, and nothing else: timers fire, other threads and the kernel are heard.
TEST(Reactor, PollsBeforeItSleeps) {
  for (const bool defer_taskrun : {true, false}) {
    const auto reactor = make_reactor({.defer_taskrun = defer_taskrun});
    reactor->set_poll(20ms);
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const auto begin = Clock::now();
    std::atomic<bool> timer_fired = false;
    Timer timer(*reactor, [&] {
      timer_fired = true;
      timer_fired.notify_one();
    });
    timer.arm_after(2ms);
    bool heard = false;
    std::jthread other([&] {
      timer_fired.wait(false);  // while it polls
      reactor->post([&] { heard = true; });
      std::this_thread::sleep_for(60ms);  // while it sleeps
      EXPECT_EQ(write(ends[1], "x", 1), 1);
    });
    char byte = 0;
    const auto wait = [&]() -> Task<void> {
      const int got = co_await reactor->read(ends[0], ByteSpan(reinterpret_cast<std::uint8_t*>(&byte), 1), 0);
      EXPECT_EQ(got, 1);
    };
    testing::run(*reactor, wait());
    EXPECT_EQ(byte, 'x');
    EXPECT_TRUE(heard);
    EXPECT_GE(Clock::now() - begin, 62ms);
    other.join();
    close(ends[0]);
    close(ends[1]);
  }
}

// Nothing but the clock says that one thread's ring is gone before the next one's takes its addresses over.
TEST(Reactor, RingsOfThreadsMayFollowOneAnother) {
  const auto live_after = [](Duration wait) {
    std::this_thread::sleep_for(wait);
    const auto reactor = make_reactor();
    Timer end(*reactor, [&] { reactor->stop(); });
    end.arm_after(1ms);
    reactor->run();
  };
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back(live_after, i * 40ms);
}

TEST(Reactor, TakesWorkFromManyThreads) {
  const auto reactor = make_reactor();
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  int done = 0;  // touched on the reactor only: TSan watches
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kPosts; ++i) {
        reactor->post([&] {
          if (++done == kThreads * kPosts) reactor->stop();
        });
      }
    });
  }
  reactor->run();
  EXPECT_EQ(done, kThreads * kPosts);
}

Task<void> mark_thread(std::thread::id& where) {
  where = std::this_thread::get_id();
  co_return;
}

Task<void> visit(Reactor& home, Reactor& other, std::thread::id& there, std::thread::id& back) {
  std::function<Task<void>()> work = [&there] { return mark_thread(there); };
  co_await run_on(home, other, std::move(work));
  back = std::this_thread::get_id();
}

TEST(Reactor, RunOnGoesToAnotherReactorAndComesBack) {
  const auto home = make_reactor();
  std::atomic<Reactor*> other{nullptr};
  std::jthread thread([&] {
    const auto reactor = make_reactor();
    other = reactor.get();
    other.notify_one();
    reactor->run();
  });
  other.wait(nullptr);
  std::thread::id there;
  std::thread::id back;
  testing::run(*home, visit(*home, *other, there, back));
  EXPECT_EQ(there, thread.get_id());
  EXPECT_EQ(back, std::this_thread::get_id());
  other.load()->stop();
}

class ReactorFiles : public ::testing::TestWithParam<bool> {};

Task<void> write_and_read_back(Reactor& reactor, int fd, ByteSpan bytes, ByteSpan back) {
  const int written = co_await reactor.write(fd, bytes, 8192, RWF_DSYNC);
  EXPECT_EQ(written, static_cast<int>(bytes.size()));
  const int synced = co_await reactor.fdatasync(fd);
  EXPECT_EQ(synced, 0);
  const int got = co_await reactor.read(fd, back, 8192);
  EXPECT_EQ(got, static_cast<int>(back.size()));
  const int punched = co_await reactor.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096);
  EXPECT_EQ(punched, 0);
  const int wrong = co_await reactor.read(-1, back, 0);
  EXPECT_EQ(wrong, -EBADF);
}

TEST_P(ReactorFiles, ReadAndWriteAFile) {
  const bool plain = GetParam();
  const Features features = plain ? Features{false, false, false, false, false} : Features{};
  const auto reactor = make_reactor(features);
  char path[] = "/tmp/reactor_test.XXXXXX";
  const int fd = mkstemp(path);
  ASSERT_GE(fd, 0);
  unlink(path);
  reactor->adopt_file(fd);
  {
    auto from = reactor->buffers().allocate(4096);
    auto back = reactor->buffers().allocate(4096);
    std::fill(from->bytes().begin(), from->bytes().end(), std::uint8_t{0x5a});
    std::fill(back->bytes().begin(), back->bytes().end(), std::uint8_t{0});
    testing::run(*reactor, write_and_read_back(*reactor, fd, from->bytes(), back->bytes()));
    EXPECT_TRUE(std::equal(from->bytes().begin(), from->bytes().end(), back->bytes().begin()));
  }
  reactor->forget_file(fd);
  close(fd);
}

INSTANTIATE_TEST_SUITE_P(AllFeaturesAndNone, ReactorFiles, ::testing::Bool());

}  // namespace
}  // namespace peerlane::io
