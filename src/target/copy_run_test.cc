// What copies leave of a disk, and of their reactor, to others.

#include "target/copy_run.h"

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

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

/// The disk beneath a peer's unit.
class FakeSharedDisk final : public SharedDisk {
 public:
  explicit FakeSharedDisk(std::shared_ptr<block::Device> disk) : disk_(std::move(disk)) {}
  io::Task<std::shared_ptr<block::Device>> for_reading(std::uint64_t offset, std::uint64_t length) override {
    asked.emplace_back(offset, length);
    return io::ready(std::shared_ptr<block::Device>(disk_));
  }
  std::vector<std::pair<std::uint64_t, std::uint64_t>> asked;

 private:
  const std::shared_ptr<block::Device> disk_;
};

std::shared_ptr<CountedDevice> filled_disk(std::uint8_t byte) {
  auto disk = block::RamDevice::create(4 * kMiB, 512, false, "ram:4M");
  const std::vector<std::uint8_t> data(4 * kMiB, byte);
  EXPECT_TRUE(testing::run((*disk)->write(0, data, block::WriteFlags::kNone)));
  return std::make_shared<CountedDevice>(std::move(*disk), true);
}

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
  io::Task<void> one(CopyMove move) {
    operations_.emplace_back();
    co_await run(std::move(move), operations_.back());
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

TEST_F(CopyRunTest, APeersUnitIsReadFromItsDiskWhereThatIsHere) {
  start(true);
  const auto unit = filled_disk(0x11);
  const auto disk = filled_disk(0x22);
  const auto shared = std::make_shared<FakeSharedDisk>(disk);
  CopyMove move{.source = {.disk = unit, .shared = shared},
                .destination = {.unit = nexuses_[1].get()},
                .from = kMiB,
                .to = 2 * kMiB,
                .length = kMiB};
  io::testing::run(*reactor_, one(std::move(move)));
  EXPECT_EQ(shared->asked, (std::vector<std::pair<std::uint64_t, std::uint64_t>>{{kMiB, kMiB}}));
  EXPECT_EQ(unit->requests(), 0u);
  EXPECT_GT(disk->requests(), 0u);
  std::array<std::uint8_t, 512> block{};
  EXPECT_TRUE(testing::run(units_[1]->device().read(2 * kMiB, block)));
  EXPECT_EQ(block[0], 0x22);
}

TEST_F(CopyRunTest, InsideOneUnitOfAPeerThereIsOneDisk) {
  start(true);
  const auto unit = filled_disk(0x11);
  const auto shared = std::make_shared<FakeSharedDisk>(filled_disk(0x22));
  CopyMove move{.source = {.disk = unit, .shared = shared},
                .destination = {.disk = unit, .shared = shared},
                .from = 0,
                .to = kMiB / 2,
                .length = kMiB};
  io::testing::run(*reactor_, one(std::move(move)));
  EXPECT_TRUE(shared->asked.empty());
  EXPECT_GT(unit->requests(), 0u);
}

}  // namespace
}  // namespace peerlane::target
