// What copies leave of a disk, and of their reactor, to others.

#include "target/copy_run.h"

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "block/filter_device.h"
#include "block/ram_device.h"
#include "io/testing.h"
#include "target/testing/unit_fixture.h"

namespace peerlane::target {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kLength = 8 * kMiB;  // of one copy

/// A disk in memory that answers at once, or later, and counts.
class CountedDevice final : public block::FilterDevice {
 public:
  CountedDevice(std::unique_ptr<block::Device> inner, bool at_once)
      : FilterDevice(std::move(inner)), at_once_(at_once) {}

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override {
    most_ = std::max(most_, ++under_way_);
    largest_ = std::max(largest_, into.size());
    ++requests_;
    if (!at_once_) co_await io::sleep(io::Reactor::current(), 200us);
    auto read = co_await inner().read(offset, into);
    --under_way_;
    co_return read;
  }

  unsigned most() const { return most_; }           // reads under way at the same time
  std::size_t largest() const { return largest_; }  // bytes
  unsigned requests() const { return requests_; }

 private:
  const bool at_once_;
  unsigned under_way_ = 0;
  unsigned most_ = 0;
  unsigned requests_ = 0;
  std::size_t largest_ = 0;
};

class CopyRunTest : public ::testing::Test {
 protected:
  void start(bool at_once) {
    for (std::uint16_t i = 0; i < 2; ++i) {
      auto disk = block::RamDevice::create(64 * kMiB, 512, false, "ram:64M");
      ASSERT_TRUE(disk);
      const std::vector<std::uint8_t> data(64 * kMiB, 0x5a);
      if (i == 0) {
        ASSERT_TRUE(testing::run((*disk)->write(0, data, block::WriteFlags::kNone)));
      }
      auto counted = std::make_unique<CountedDevice>(std::move(*disk), at_once);
      devices_[i] = counted.get();
      LogicalUnitOptions options;
      options.target_name = "iqn.2026-11.test:target";
      options.lun = scsi::Lun{i};
      options.port_groups = {{.tag = 7}};
      units_[i] = std::make_unique<LogicalUnit>(std::move(counted), options);
      nexuses_[i] = units_[i]->attach(view_);
    }
  }

  /// Copies so many pieces of the first unit to the second, all at the same time.
  void copy(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      CopyMove move;
      move.source.unit = nexuses_[0].get();
      move.destination.unit = nexuses_[1].get();
      move.from = move.to = i % 8 * kLength;
      move.length = kLength;
      operations_.emplace_back();
      io::spawn(run(std::move(move), operations_.back()));
    }
  }
  io::Task<void> run(CopyMove move, CopyOperation& operation) {
    const io::Gate::Pass inside(running_);
    std::vector<CopyMove> moves{std::move(move)};
    const auto completion = co_await run_copy(std::move(moves), operation, nullptr);
    EXPECT_EQ(completion.status, scsi::Status::kGood);
  }
  io::Task<void> all(unsigned count) {
    copy(count);
    co_await running_.drained();
  }
  io::Task<void> count_turns(unsigned copies) {
    copy(copies);
    while (operations_.front().bytes == 0) {
      ++turns_;
      co_await io::yield(io::Reactor::current());
    }
    co_await running_.drained();
  }

  std::unique_ptr<io::Reactor> reactor_ = *io::Reactor::create();
  testing::FakeView view_;
  std::array<CountedDevice*, 2> devices_{};
  std::array<std::unique_ptr<LogicalUnit>, 2> units_;
  std::array<std::unique_ptr<ItlNexus>, 2> nexuses_;
  std::deque<CopyOperation> operations_;
  io::Gate running_;
  unsigned turns_ = 0;
};

TEST_F(CopyRunTest, OneCopyHasSeveralRequestsUnderWay) {
  start(false);
  io::testing::run(*reactor_, all(1));
  EXPECT_GT(devices_[0]->most(), limits::kUnitCopyDepth / 2);
  EXPECT_LE(devices_[0]->most(), limits::kUnitCopyDepth);
  EXPECT_EQ(devices_[0]->largest(), limits::kUnitCopyRequestBytes);
}

TEST_F(CopyRunTest, ManyCopiesShareWhatOneMayHave) {
  start(false);
  constexpr unsigned kMany = 32;
  io::testing::run(*reactor_, all(kMany));
  EXPECT_LE(devices_[0]->most(), kMany + 2 * limits::kUnitCopyDepth);  // each one, and those that came first some more
  EXPECT_EQ(units_[0]->copies_under_way(), 0u);
  EXPECT_EQ(units_[1]->copies_under_way(), 0u);
}

TEST_F(CopyRunTest, OthersHaveTheirTurnBesideADiskThatAnswersAtOnce) {
  start(true);
  io::testing::run(*reactor_, count_turns(1));
  EXPECT_GE(turns_, devices_[0]->requests() / limits::kUnitCopyDepth);
  EXPECT_GT(turns_, 2u);
}

}  // namespace
}  // namespace peerlane::target
