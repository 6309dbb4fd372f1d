// The cache, step by step: what it reads, keeps and writes. What happens when much happens at once is in
// cache_model_test.cc.

#include "block/cache_device.h"

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "block/ram_device.h"
#include "io/event.h"
#include "io/testing.h"

namespace peerlane::block {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kKiB = 1024;
constexpr std::uint64_t kMiB = 1024 * kKiB;

/// A disk in memory that notes what is done to it, lets operations wait, and fails when told to.
class WatchedDevice final : public FilterDevice {
 public:
  explicit WatchedDevice(std::uint64_t size) : FilterDevice(std::move(*RamDevice::create(size, 512, false, "ram:t"))) {
    can = inner().capabilities();
    can.volatile_cache = true;
    can.fua = true;
    shape = inner().geometry();
    gate.set();
  }

  Capabilities can;
  Geometry shape;
  std::uint64_t new_size = 0;  // when it is asked for next
  std::vector<std::string> log;
  io::Event gate;  // operations wait until it is set
  int error = 0;

  Geometry geometry() const override { return shape; }
  Capabilities capabilities() const override { return can; }
  Result<bool> refresh_size() override { return std::exchange(shape.size, new_size) != new_size; }
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override {
    auto work = io::later([this, offset, into] { return FilterDevice::read(offset, into); });
    return pass(fmt::format("read {}+{}", offset, into.size()), std::move(work));
  }
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) override {
    auto work = io::later([this, offset, from, flags] { return FilterDevice::write(offset, from, flags); });
    const char* const fua = flags == WriteFlags::kFua ? " fua" : "";
    return pass(fmt::format("write {}+{}{}", offset, from.size(), fua), std::move(work));
  }
  io::Task<Result<void>> flush() override {
    auto work = io::later([this] { return FilterDevice::flush(); });
    return pass("flush", std::move(work));
  }
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override {
    auto work = io::later([this, offset, length] { return FilterDevice::unmap(offset, length); });
    return pass(fmt::format("unmap {}+{}", offset, length), std::move(work));
  }

  std::vector<std::string> take_log() { return std::exchange(log, {}); }

 private:
  io::Task<Result<void>> pass(std::string what, io::Task<Result<void>> work) {
    log.push_back(std::move(what));
    co_await gate;
    if (error != 0) co_return fail(error);
    auto result = co_await std::move(work);
    co_return result;
  }
};

using Log = std::vector<std::string>;
using Bytes = std::vector<std::uint8_t>;

class CacheDeviceTest : public ::testing::Test {
 protected:
  void open(CacheMode mode, std::uint64_t read_ahead = 0, std::uint64_t size = 16 * kMiB,
            std::uint64_t memory = 2 * kMiB) {
    cache_.reset();
    memory_ = std::move(*CacheMemory::create(memory));
    auto watched = std::make_unique<WatchedDevice>(size);
    disk = watched.get();
    cache_ = std::make_unique<CacheDevice>(std::move(watched), *memory_,
                                           CacheOptions{.mode = mode, .read_ahead = read_ahead});
  }
  ~CacheDeviceTest() override {
    if (cache_) run(cache_->close());
  }

  template <typename T>
  static io::Task<void> keep(io::Task<T> task, std::optional<T>& result) {
    auto value = co_await std::move(task);
    result.emplace(std::move(value));
  }
  template <typename T>
  T run(io::Task<T> task) {
    std::optional<T> result;
    io::testing::run(*reactor_, keep(std::move(task), result));
    return std::move(*result);
  }
  /// Starts an operation, which may have to wait.
  template <typename T>
  void start(io::Task<T> task, std::optional<T>& result) {
    io::spawn(keep(std::move(task), result));
  }
  void pass_time(io::Duration time = 2ms) { io::testing::run(*reactor_, io::sleep(*reactor_, time)); }
  /// Lets time pass until it holds; whether it does.
  template <typename Condition>
  bool until(Condition holds) {
    std::optional<bool> held;
    io::testing::run(*reactor_, keep(io::testing::until(holds), held));
    return *held;
  }

  Bytes read(std::uint64_t offset, std::size_t size) {
    Bytes into(size, 0xee);
    EXPECT_TRUE(run(cache_->read(offset, into)));
    return into;
  }
  Result<void> write(std::uint64_t offset, std::size_t size, std::uint8_t value, WriteFlags flags = WriteFlags::kNone) {
    const Bytes from(size, value);
    return run(cache_->write(offset, from, flags));
  }
  CacheStatistics counted() const { return cache_->statistics().cache; }

  std::unique_ptr<io::Reactor> reactor_ = std::move(*io::Reactor::create());
  std::unique_ptr<CacheMemory> memory_;
  std::unique_ptr<CacheDevice> cache_;
  WatchedDevice* disk = nullptr;
};

// --- Reading ---

TEST_F(CacheDeviceTest, ReadsOnceAndByWholePages) {
  open(CacheMode::kWriteThrough);
  read(512, 1024);
  EXPECT_EQ(disk->take_log(), (Log{"read 0+4096"}));
  read(0, 4096);
  EXPECT_EQ(disk->take_log(), Log());
  read(0, 16384);
  EXPECT_EQ(disk->take_log(), (Log{"read 4096+12288"})) << "only what is missing";
  EXPECT_EQ(counted().hits, 2u);
  EXPECT_EQ(counted().misses, 4u);
}

TEST_F(CacheDeviceTest, TheLastPartOfADiskThatFillsNoPageIsReadEachTime) {
  open(CacheMode::kWriteBack, 0, kMiB + 1536);
  EXPECT_TRUE(write(kMiB, 1536, 7));
  EXPECT_EQ(disk->take_log(), (Log{"write 1048576+1536"}));
  EXPECT_EQ(read(kMiB - 4096, 4096 + 1536).back(), 7);
  EXPECT_EQ(disk->take_log(), (Log{"read 1044480+4096", "read 1048576+1536"}));
  read(kMiB, 1536);
  EXPECT_EQ(disk->take_log(), (Log{"read 1048576+1536"}));
}

TEST_F(CacheDeviceTest, WhoWantsAPageThatIsOnItsWayWaitsForIt) {
  open(CacheMode::kWriteThrough);
  disk->gate.reset();
  Bytes one(8192), other(4096);
  std::optional<Result<void>> first, second;
  start(cache_->read(0, one), first);
  start(cache_->read(4096, other), second);
  pass_time();
  EXPECT_FALSE(first || second);
  disk->gate.set();
  EXPECT_TRUE(until([&] { return first && second; }));
  EXPECT_EQ(disk->take_log(), (Log{"read 0+8192"}));
  EXPECT_EQ(counted().joined, 1u);
}

TEST_F(CacheDeviceTest, AFetchThatFailsIsTheErrorOfEachWhoWaited) {
  open(CacheMode::kWriteThrough);
  disk->gate.reset();
  disk->error = EIO;
  Bytes one(4096), other(4096);
  std::optional<Result<void>> first, second;
  start(cache_->read(0, one), first);
  start(cache_->read(0, other), second);
  disk->gate.set();
  ASSERT_TRUE(until([&] { return first && second; }));
  EXPECT_EQ(first->error().code, EIO);
  EXPECT_EQ(second->error().code, EIO);
  disk->error = 0;
  read(0, 4096);
  EXPECT_EQ(disk->take_log(), (Log{"read 0+4096", "read 0+4096", "read 0+4096"})) << "errors are not kept";
}

TEST_F(CacheDeviceTest, AFetchThatAWriteOvertakesIsNotKept) {
  open(CacheMode::kWriteThrough);
  disk->gate.reset();
  Bytes into(4096);
  std::optional<Result<void>> reading;
  start(cache_->read(0, into), reading);  // the watched disk reads when the gate opens, or before: it may be old
  pass_time();
  disk->gate.set();
  EXPECT_TRUE(write(0, 4096, 9));
  EXPECT_TRUE(until([&] { return reading.has_value(); }));
  EXPECT_EQ(read(0, 4096)[0], 9);
}

TEST_F(CacheDeviceTest, IsBoundedByItsMemory) {
  open(CacheMode::kWriteThrough, 0, 16 * kMiB, kMiB);
  for (std::uint64_t at = 0; at < 16 * kMiB; at += 64 * kKiB) read(at, 64 * kKiB);
  EXPECT_EQ(counted().evictions, 4096u - 256u);
  disk->take_log();
  read(0, 64 * kKiB);
  EXPECT_FALSE(disk->take_log().empty());
}

TEST_F(CacheDeviceTest, SequentialReadersFindTheirDataThere) {
  open(CacheMode::kWriteThrough, kMiB, 64 * kMiB, 32 * kMiB);
  for (std::uint64_t at = 0; at < 8 * kMiB; at += 32 * kKiB) {
    read(at, 32 * kKiB);
    pass_time(100us);
  }
  const CacheStatistics now = counted();
  EXPECT_LT(now.misses + now.joined, 100u) << "of 2048";
  EXPECT_GT(now.read_ahead, 1900u);
  EXPECT_GT(now.read_ahead_used, 1900u);
  EXPECT_EQ(now.read_ahead_wasted, 0u);
  // What was read in vain is counted when it goes.
  for (std::uint64_t at = 32 * kMiB; at < 64 * kMiB; at += 256 * kKiB) read(at, 256 * kKiB);
  for (std::uint64_t at = 60 * kMiB; at > 16 * kMiB; at -= 256 * kKiB) read(at, 256 * kKiB);
  EXPECT_GT(counted().read_ahead_wasted, 0u);
}

// --- Writing through ---

TEST_F(CacheDeviceTest, WriteThroughPromisesWhatTheDiskPromises) {
  open(CacheMode::kWriteThrough);
  EXPECT_TRUE(write(0, 4096, 1));
  EXPECT_TRUE(write(4096, 512, 2, WriteFlags::kFua));
  EXPECT_EQ(disk->take_log(), (Log{"write 0+4096", "write 4096+512 fua"}));
  EXPECT_EQ(read(0, 4096)[9], 1);
  EXPECT_EQ(disk->take_log(), Log()) << "a written page is kept";
  EXPECT_EQ(read(4096, 512)[9], 2);
  EXPECT_EQ(disk->take_log(), (Log{"read 4096+4096"})) << "a part of one is not";
  EXPECT_TRUE(cache_->capabilities().fua);
  disk->can.volatile_cache = false;
  EXPECT_FALSE(cache_->capabilities().volatile_cache);
  EXPECT_TRUE(run(cache_->flush()));
  EXPECT_EQ(disk->take_log(), (Log{"flush"}));
}

TEST_F(CacheDeviceTest, AWriteThatFailsIsNotKept) {
  open(CacheMode::kWriteThrough);
  EXPECT_TRUE(write(0, 8192, 1));
  disk->error = ENOSPC;
  EXPECT_EQ(write(0, 8192, 2).error().code, ENOSPC);
  disk->error = 0;
  disk->take_log();
  EXPECT_EQ(read(0, 8192)[0], 1);
  EXPECT_EQ(disk->take_log(), (Log{"read 0+8192"}));
}

TEST_F(CacheDeviceTest, UnmapAndOthersBelowAreSeen) {
  for (const CacheMode mode : {CacheMode::kWriteThrough, CacheMode::kWriteBack}) {
    open(mode);
    EXPECT_TRUE(write(0, 16384, 1));
    EXPECT_TRUE(run(cache_->unmap(512, 8192)));
    const Bytes seen = read(0, 16384);
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 0), 8192);
    EXPECT_EQ(seen[511], 1);
    EXPECT_EQ(seen[512], 0);

    const Bytes copied(4096, 5);
    const ByteView from = copied;
    auto work = io::later([this, from] { return disk->write(8192, from, WriteFlags::kNone); });
    EXPECT_TRUE(run(cache_->around(8192, 4096, std::move(work))));
    EXPECT_EQ(read(8192, 4096)[0], 5);

    read(0, 16384);
    EXPECT_TRUE(run(cache_->flush()));
    EXPECT_TRUE(run(disk->write(0, copied, WriteFlags::kNone)));  // behind the cache's back
    EXPECT_EQ(read(0, 4096)[0], 1);
    cache_->invalidate(0, 4096);
    EXPECT_EQ(read(0, 4096)[0], 5);
    EXPECT_TRUE(run(cache_->close()));
    cache_.reset();
  }
}

TEST_F(CacheDeviceTest, WhoIsAroundABlockWaitsForNobodyForEver) {
  open(CacheMode::kWriteThrough);
  unsigned done = 0;
  const auto count = [&done] {
    ++done;
    return io::ready(Result<void>());
  };
  const auto around_twice = [&](std::uint64_t second) {
    auto below = io::later([this, second, count] { return cache_->around(second, 4096, io::later(count)); });
    return run(cache_->around(0, 4096, std::move(below)));
  };
  EXPECT_TRUE(around_twice(kMiB));
  EXPECT_EQ(done, 1u);
  EXPECT_EQ(around_twice(0).error().code, ENOTSUP);
  EXPECT_EQ(done, 1u);
  EXPECT_TRUE(write(0, 4096, 1));
}

TEST_F(CacheDeviceTest, BlocksThatWereCutOffDoNotComeBack) {
  open(CacheMode::kWriteThrough);
  EXPECT_TRUE(write(8 * kMiB, 8192, 1));
  disk->new_size = 8 * kMiB + 2048;
  EXPECT_TRUE(cache_->refresh_size());
  EXPECT_TRUE(run(disk->unmap(8 * kMiB, 8192)));
  disk->new_size = 16 * kMiB;
  EXPECT_TRUE(cache_->refresh_size());
  EXPECT_EQ(read(8 * kMiB, 8192), Bytes(8192, 0));
}

// --- Writing back ---

TEST_F(CacheDeviceTest, WriteBackTellsTheTruthAboutItself) {
  open(CacheMode::kWriteBack);
  disk->can = {.volatile_cache = false, .fua = false};
  EXPECT_TRUE(cache_->capabilities().volatile_cache);
  EXPECT_TRUE(cache_->capabilities().fua) << "a write to this disk is durable";
  disk->can = {.volatile_cache = true, .fua = false};
  EXPECT_FALSE(cache_->capabilities().fua);
}

TEST_F(CacheDeviceTest, WriteBackReachesTheDiskWithAFlush) {
  open(CacheMode::kWriteBack);
  EXPECT_TRUE(write(8192, 4096, 1));
  EXPECT_TRUE(write(0, 4096, 2));
  EXPECT_TRUE(write(4096, 4096, 3));
  EXPECT_EQ(disk->take_log(), Log());
  EXPECT_EQ(counted().dirty_bytes, 12288u);
  EXPECT_TRUE(run(cache_->flush()));
  EXPECT_EQ(disk->take_log(), (Log{"write 0+12288", "flush"})) << "neighbours together";
  EXPECT_EQ(counted().dirty_bytes, 0u);
  EXPECT_EQ(read(4096, 1)[0], 3);
  EXPECT_EQ(disk->take_log(), Log()) << "what was written out stays";
}

TEST_F(CacheDeviceTest, WriteBackReachesTheDiskAfterAWhile) {
  open(CacheMode::kWriteBack);
  EXPECT_TRUE(write(0, 4096, 1));
  EXPECT_TRUE(until([&] { return counted().dirty_bytes == 0; }));
  EXPECT_EQ(disk->take_log(), (Log{"write 0+4096"}));
}

TEST_F(CacheDeviceTest, FuaGoesThroughAndCleansWhatItCovers) {
  open(CacheMode::kWriteBack);
  EXPECT_TRUE(write(0, 8192, 1));
  EXPECT_TRUE(write(0, 4096, 2, WriteFlags::kFua));
  EXPECT_TRUE(write(4096, 512, 3, WriteFlags::kFua));
  EXPECT_EQ(disk->take_log(), (Log{"write 0+4096 fua", "write 4096+512 fua"}));
  EXPECT_EQ(counted().dirty_bytes, 4096u) << "the rest of the second page";
  EXPECT_TRUE(run(cache_->flush()));
  EXPECT_EQ(disk->take_log(), (Log{"write 4096+4096", "flush"}));
  Bytes on_disk(8192);
  EXPECT_TRUE(run(disk->read(0, on_disk)));
  EXPECT_EQ(on_disk[0], 2);
  EXPECT_EQ(on_disk[4096], 3);
  EXPECT_EQ(on_disk[4608], 1);
}

TEST_F(CacheDeviceTest, AnErrorOfAWriteOutIsTheNextFlushsAndTheDataStay) {
  open(CacheMode::kWriteBack);
  EXPECT_TRUE(write(0, 4096, 1));
  disk->error = EIO;
  EXPECT_TRUE(until([&] { return counted().write_out_errors != 0; }));
  EXPECT_EQ(run(cache_->flush()).error().code, EIO);
  EXPECT_EQ(run(cache_->flush()).error().code, EIO) << "as long as the data are not down";
  EXPECT_EQ(counted().dirty_bytes, 4096u);
  EXPECT_EQ(read(0, 4096)[0], 1);
  disk->error = 0;
  EXPECT_TRUE(run(cache_->flush()));
  Bytes on_disk(4096);
  EXPECT_TRUE(run(disk->read(0, on_disk)));
  EXPECT_EQ(on_disk[0], 1);
}

TEST_F(CacheDeviceTest, WritersAreSlowedDownWhenTooMuchIsDirty) {
  open(CacheMode::kWriteBack, 0, 16 * kMiB, 2 * kMiB);
  disk->gate.reset();
  std::vector<std::optional<Result<void>>> results(512);
  const Bytes from(4096, 1);
  for (std::uint64_t page = 0; page < results.size(); ++page) {
    start(cache_->write(page * 4096, from, WriteFlags::kNone), results[page]);
  }
  const auto done = std::ranges::count_if(results, [](const auto& result) { return result.has_value(); });
  EXPECT_LE(counted().dirty_bytes, kMiB);
  // Half of the memory, less what the background task has taken to write.
  EXPECT_GT(done, 150);
  EXPECT_LT(done, 400);
  disk->gate.set();
  const auto ended = [&] { return std::ranges::all_of(results, [](const auto& one) { return one.has_value(); }); };
  ASSERT_TRUE(until(ended));
  for (const auto& result : results) EXPECT_TRUE(*result);
}

TEST_F(CacheDeviceTest, PagesThatBecomeDirtyWhileTheyAreWrittenAreWrittenAgain) {
  open(CacheMode::kWriteBack);
  EXPECT_TRUE(write(0, 4096, 1));
  disk->gate.reset();
  std::optional<Result<void>> flushing, writing;
  start(cache_->flush(), flushing);
  const Bytes newer(4096, 2);
  start(cache_->write(0, newer, WriteFlags::kNone), writing);
  EXPECT_TRUE(writing) << "a write-out works on a copy";
  disk->gate.set();
  EXPECT_TRUE(until([&] { return flushing.has_value(); }));
  EXPECT_EQ(counted().dirty_bytes, 4096u);
  disk->take_log();
  EXPECT_TRUE(run(cache_->flush()));
  EXPECT_EQ(disk->take_log(), (Log{"write 0+4096", "flush"}));
}

TEST_F(CacheDeviceTest, AFlushWaitsForWhatIsUnderWay) {
  open(CacheMode::kWriteBack);
  EXPECT_TRUE(write(0, 4096, 1));
  disk->gate.reset();
  std::optional<Result<void>> first, second;
  start(cache_->flush(), first);
  start(cache_->flush(), second);  // finds nothing dirty
  pass_time();
  EXPECT_FALSE(second);
  EXPECT_EQ(disk->take_log(), (Log{"write 0+4096"})) << "and flushes the disk only then";
  disk->gate.set();
  EXPECT_TRUE(until([&] { return first && second; }));
}

TEST_F(CacheDeviceTest, AChangeBelowBringsDownAllThatIsDirtyThere) {
  open(CacheMode::kWriteBack);
  // In another order than that of their places, and fewer than the change covers.
  EXPECT_TRUE(write(5 * 4096, 4096, 5));
  EXPECT_TRUE(write(1 * 4096, 4096, 1));
  EXPECT_TRUE(write(9 * 4096, 4096, 9));
  EXPECT_TRUE(run(cache_->unmap(1 * 4096 + 512, 8 * 4096)));
  EXPECT_EQ(read(1 * 4096, 512), Bytes(512, 1));
  EXPECT_EQ(read(5 * 4096, 4096), Bytes(4096, 0));
  EXPECT_EQ(read(9 * 4096 + 512, 3584), Bytes(3584, 9));
}

TEST_F(CacheDeviceTest, TheEndBringsDownWhatIsDirty) {
  open(CacheMode::kWriteBack);
  for (std::uint64_t page = 0; page < 64; page += 2) EXPECT_TRUE(write(page * 4096, 4096, 1));
  disk->take_log();
  EXPECT_TRUE(run(cache_->close()));
  const Log log = disk->take_log();
  EXPECT_EQ(log.size(), 33u);
  EXPECT_EQ(log.back(), "flush");
  Bytes on_disk(4096);
  EXPECT_TRUE(run(disk->read(62 * 4096, on_disk)));
  EXPECT_EQ(on_disk[0], 1);
}

TEST_F(CacheDeviceTest, SharesItsMemoryWithOthersAndTakesNothingOver) {
  open(CacheMode::kWriteThrough);
  std::optional<CacheDevice> other;  // twice in the same place
  for (const std::uint8_t value : {std::uint8_t{7}, std::uint8_t{0}}) {
    other.emplace(std::make_unique<WatchedDevice>(16 * kMiB), *memory_,
                  CacheOptions{.mode = CacheMode::kWriteThrough, .read_ahead = 0});
    const Bytes from(4096, value);
    if (value != 0) {
      EXPECT_TRUE(run(other->write(0, from, WriteFlags::kNone)));
    }
    EXPECT_EQ(read(0, 4096)[0], 0) << "the same page of another disk";
    Bytes into(4096);
    EXPECT_TRUE(run(other->read(0, into)));
    EXPECT_EQ(into, from);
  }
}

}  // namespace
}  // namespace peerlane::block
