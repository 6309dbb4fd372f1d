#include "cli/bench_load.h"

#include <vector>

#include <gtest/gtest.h>

namespace peerlane::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kSize = 1 << 20;

/// Runs a load of one session on a disk in memory.
class LoadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto disk = block::open_device("ram:1M", {});
    ASSERT_TRUE(disk);
    disk_ = std::move(*disk);
    options_.end = kSize;
    options_.seed = 5;
    options_.depth = 4;
  }

  void run() {
    auto reactor = io::Reactor::create();
    ASSERT_TRUE(reactor) << reactor.error().text();
    load_ = std::make_unique<Load>(options_);
    io::spawn(run_all(**reactor));
    (*reactor)->run();
  }

  io::Task<void> run_all(io::Reactor& reactor) {
    std::vector<std::unique_ptr<LoadSession>> sessions;
    for (unsigned i = 0; i < options_.sessions; ++i) {
      sessions.push_back(std::make_unique<LoadSession>(*load_, i, *disk_, tally_));
      EXPECT_TRUE(sessions.back()->prepare(reactor));
    }
    load_->start(io::Clock::now());
    for (const auto& session : sessions) co_await session->run();
    if (load_->written() != nullptr) {
      for (const auto& session : sessions) co_await session->check_written();
    }
    sessions.clear();
    reactor.stop();
  }

  std::vector<std::uint8_t> content() {
    std::vector<std::uint8_t> bytes(kSize);
    auto reactor = io::Reactor::create();
    io::spawn(read_all(**reactor, bytes));
    (*reactor)->run();
    return bytes;
  }
  io::Task<void> read_all(io::Reactor& reactor, ByteSpan bytes) {
    const auto done = co_await disk_->read(0, bytes);
    EXPECT_TRUE(done);
    reactor.stop();
  }

  std::unique_ptr<block::Device> disk_;
  LoadOptions options_;
  LoadTally tally_;
  std::unique_ptr<Load> load_;
};

TEST_F(LoadTest, WritesEveryBlockOnceInOrder) {
  options_.random = false;
  options_.read_percent = 0;
  options_.verify = true;
  options_.ios = kSize / 4096;
  options_.sessions = 3;
  run();
  EXPECT_FALSE(load_->error());
  EXPECT_EQ(tally_.writes.count(), options_.ios);
  EXPECT_EQ(tally_.checked, options_.ios);
  EXPECT_EQ(first_difference(options_.seed, 0, content()), std::nullopt);
}

TEST_F(LoadTest, StaysInItsRange) {
  options_.read_percent = 0;
  options_.begin = kSize / 4;
  options_.end = kSize / 2;
  options_.ios = 2000;
  run();
  const auto bytes = content();
  for (std::size_t at = 0; at < kSize; at += 512) {
    const bool inside = at >= options_.begin && at < options_.end;
    const bool written =
        std::any_of(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    bytes.begin() + static_cast<std::ptrdiff_t>(at + 512), [](std::uint8_t byte) { return byte != 0; });
    ASSERT_EQ(written, inside) << at;  // 2000 random blocks miss none of 64
  }
}

TEST_F(LoadTest, MixesAsAsked) {
  options_.read_percent = 70;
  options_.ios = 10'000;
  run();
  EXPECT_EQ(tally_.reads.count() + tally_.writes.count(), options_.ios);
  EXPECT_NEAR(static_cast<double>(tally_.reads.count()), 7000, 300);
}

TEST_F(LoadTest, ChecksWhatItHasWrittenInAMix) {
  options_.read_percent = 50;
  options_.verify = true;
  options_.ios = 5000;
  run();
  EXPECT_FALSE(load_->error());
  EXPECT_GT(tally_.checked, 1000u);
}

TEST_F(LoadTest, ReportsWhatNobodyHasWritten) {
  options_.verify = true;
  options_.ios = 100;
  run();
  ASSERT_TRUE(load_->error());
  EXPECT_EQ(load_->error()->code, EILSEQ);
}

TEST_F(LoadTest, EndsInTimeOnADiskThatNeverWaits) {
  options_.time = 50ms;
  options_.warm_up = 20ms;
  const auto before = io::Clock::now();
  run();
  const auto took = io::Clock::now() - before;
  EXPECT_GE(took, 70ms);
  EXPECT_LT(took, 5s);
  EXPECT_GT(tally_.reads.count(), 0u);
  EXPECT_LT(tally_.reads.count(), tally_.ios.load());  // what the warm-up did is not counted
}

TEST_F(LoadTest, KeepsARate) {
  options_.rate = 1000;
  options_.time = 200ms;
  run();
  EXPECT_GT(tally_.reads.count(), 50u);
  EXPECT_LE(tally_.reads.count(), 310u);  // 200, and what may be caught up
}

}  // namespace
}  // namespace peerlane::cli
