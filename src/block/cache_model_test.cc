// The cache under many operations at once, by chance from a seed: what it answers is compared with what a disk may
// answer (testing/sector_model.h), on a disk that does all that a disk may do (testing/chaos_device.h).

#include <future>
#include <latch>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "block/cache_device.h"
#include "block/testing/chaos_device.h"
#include "block/testing/sector_model.h"
#include "io/event.h"
#include "io/testing.h"

namespace peerlane::block {
namespace {

using testing::ChaosDevice;
using testing::ChaosOptions;
using testing::kSectorBytes;
using testing::SectorModel;

struct Setting {
  const char* name;
  CacheMode mode;
  double failures = 0;
  bool volatile_cache = true;
  bool fua = true;
  std::uint32_t alignment = 1;
  std::uint64_t read_ahead = 1u << 20;
};

constexpr Setting kSettings[] = {
    {.name = "Through", .mode = CacheMode::kWriteThrough},
    {.name = "ThroughFailing", .mode = CacheMode::kWriteThrough, .failures = 0.05},
    {.name = "ThroughDirectWithoutReadAhead", .mode = CacheMode::kWriteThrough, .alignment = 4096, .read_ahead = 0},
    {.name = "Back", .mode = CacheMode::kWriteBack},
    {.name = "BackFailing", .mode = CacheMode::kWriteBack, .failures = 0.05},
    {.name = "BackDirect", .mode = CacheMode::kWriteBack, .failures = 0.02, .alignment = 4096},
    {.name = "BackWithoutFua", .mode = CacheMode::kWriteBack, .fua = false},
    {.name = "BackOnDurable", .mode = CacheMode::kWriteBack, .failures = 0.02, .volatile_cache = false, .fua = false},
};

/// A disk four times as large as its cache, with a last part that fills no page.
constexpr std::size_t kSectors = 8192 + 3;
constexpr std::uint64_t kCacheBytes = 1u << 20;

class Arena {
 public:
  Arena(const Setting& setting, std::uint64_t seed)
      : setting_(setting), memory_(*CacheMemory::create(kCacheBytes)), model(kSectors) {
    auto chaos = std::make_unique<ChaosDevice>(ChaosOptions{.sectors = kSectors,
                                                            .seed = seed,
                                                            .failures = setting.failures,
                                                            .volatile_cache = setting.volatile_cache,
                                                            .fua = setting.fua,
                                                            .alignment = setting.alignment});
    disk = chaos.get();
    cache = std::make_unique<CacheDevice>(std::move(chaos), *memory_,
                                          CacheOptions{.mode = setting.mode, .read_ahead = setting.read_ahead});
  }

  /// `count` operations of one user, one after the other.
  io::Task<void> use(std::uint64_t seed, int count, bool with_crashes, io::Gate& gate) {
    const io::Gate::Pass pass(gate);
    std::mt19937_64 random(seed);
    std::size_t cursor = random() % kSectors;
    for (int i = 0; i < count && !::testing::Test::HasFailure(); ++i) {
      // Now and then more than is dirty at a time.
      const std::size_t most = random() % 16 == 0 ? 1500 : random() % 4 == 0 ? 96 : 16;
      const std::size_t sectors = 1 + random() % most;
      std::size_t first = random() % kSectors;
      if (random() % 2 == 0) first = first % 512;  // where all meet
      if (random() % 3 == 0) first = first / 8 * 8;
      if (random() % 4 == 0) first = cursor;
      if (first + sectors > kSectors) first = kSectors - sectors;
      cursor = (first + sectors) % (kSectors - 96);
      const auto what = static_cast<unsigned>(random() % 100);
      if (what < 50) {
        co_await read(first, sectors);
      } else if (what < 80) {
        co_await write(first, sectors, false);
      } else if (what < 86) {
        co_await write(first, sectors, true);
      } else if (what < 93) {
        co_await clear(first, sectors, what < 89);
      } else if (what < 95) {
        co_await copy_below(first, sectors);
      } else if (what < 96) {
        [[maybe_unused]] const auto extents =
            co_await cache->allocation(first * kSectorBytes, sectors * kSectorBytes, 9);
      } else {
        co_await flush();
      }
      if (with_crashes && i % 50 == 0) crash(random());
    }
  }

  /// Nothing is under way: cache and disk must agree, and hold what was written.
  io::Task<void> compare() {
    disk->set_failures(0);
    const SectorModel::Time start = model.now();
    auto flushed = co_await cache->flush();
    EXPECT_TRUE(flushed);
    model.flushed(start);
    EXPECT_EQ(cache->statistics().cache.dirty_bytes, 0u);
    for (std::size_t first = 0; first < kSectors; first += 256) {
      co_await read(first, std::min<std::size_t>(256, kSectors - first), true);
    }
    crash(1);
    EXPECT_EQ(disk->complaints(), std::vector<std::string>());
    disk->set_failures(setting_.failures);
  }

 private:
  const Setting setting_;
  const std::unique_ptr<CacheMemory> memory_;

 public:
  SectorModel model;
  ChaosDevice* disk = nullptr;
  std::unique_ptr<CacheDevice> cache;

 private:
  static io::Buffer buffer(std::size_t sectors) {
    return std::move(*io::Reactor::current().buffers().allocate(sectors * kSectorBytes));
  }

  io::Task<void> read(std::size_t first, std::size_t sectors, bool quiet = false) {
    const io::Buffer into = buffer(sectors);
    const SectorModel::Time start = model.now();
    const auto result = co_await cache->read(first * kSectorBytes, into.bytes());
    if (!result) {
      EXPECT_GT(setting_.failures, 0);
      co_return;
    }
    for (std::size_t i = 0; i < sectors; ++i) {
      const auto value = testing::value_of(into.bytes().subspan(i * kSectorBytes, kSectorBytes));
      EXPECT_TRUE(value) << "sector " << first + i << " is torn";
      EXPECT_TRUE(model.may_read(first + i, value.value_or(0), start)) << "sector " << first + i << " has " << *value;
      if (quiet) {
        EXPECT_EQ(*value, disk->value(first + i)) << "sector " << first + i;
      }
    }
  }

  io::Task<void> write(std::size_t first, std::size_t sectors, bool durable) {
    const std::uint64_t value = model.new_value();
    const io::Buffer from = buffer(sectors);
    for (std::size_t i = 0; i < sectors; ++i) {
      testing::fill_sector(from.bytes().subspan(i * kSectorBytes, kSectorBytes), value);
    }
    const Capabilities can = cache->capabilities();
    const WriteFlags flags = durable && can.fua ? WriteFlags::kFua : WriteFlags::kNone;
    const SectorModel::Time start = model.begin_write(first, sectors, value);
    const auto result = co_await cache->write(first * kSectorBytes, from.bytes(), flags);
    const bool is_durable = flags == WriteFlags::kFua || !can.volatile_cache;
    model.end_write(first, sectors, start, result.has_value(), is_durable);
    if (!result) {
      EXPECT_GT(setting_.failures, 0);
    }
    if (durable && !is_durable) co_await flush();
  }

  io::Task<void> clear(std::size_t first, std::size_t sectors, bool unmap) {
    const SectorModel::Time start = model.begin_write(first, sectors, 0);
    auto work = unmap ? cache->unmap(first * kSectorBytes, sectors * kSectorBytes)
                      : cache->write_zeroes(first * kSectorBytes, sectors * kSectorBytes, true);
    const auto result = co_await std::move(work);
    model.end_write(first, sectors, start, result.has_value(), !cache->capabilities().volatile_cache);
  }

  /// As a direct copy to the disk below.
  io::Task<void> copy_below(std::size_t first, std::size_t sectors) {
    const std::uint64_t value = model.new_value();
    const io::Buffer from = buffer(sectors);
    for (std::size_t i = 0; i < sectors; ++i) {
      testing::fill_sector(from.bytes().subspan(i * kSectorBytes, kSectorBytes), value);
    }
    const SectorModel::Time start = model.begin_write(first, sectors, value);
    const ByteView bytes = from.bytes();
    auto work = io::later([this, first, bytes] { return disk->write(first * kSectorBytes, bytes, WriteFlags::kNone); });
    const auto result = co_await cache->around(first * kSectorBytes, sectors * kSectorBytes, std::move(work));
    model.end_write(first, sectors, start, result.has_value(), !cache->capabilities().volatile_cache);
  }

  io::Task<void> flush() {
    const SectorModel::Time start = model.now();
    const auto result = co_await cache->flush();
    if (result) model.flushed(start);
    if (!result) {
      EXPECT_GT(setting_.failures, 0);
    }
  }

  /// What the disk would have, should all end now.
  void crash(std::uint64_t draw) {
    for (std::size_t sector = 0; sector < kSectors; ++sector) {
      const std::uint64_t value = disk->survivor(sector, draw + sector);
      ASSERT_TRUE(model.may_survive(sector, value)) << "sector " << sector << " would have " << value;
    }
  }
};

class CacheModel : public ::testing::TestWithParam<Setting> {};
INSTANTIATE_TEST_SUITE_P(All, CacheModel, ::testing::ValuesIn(kSettings),
                         [](const auto& setting) { return std::string(setting.param.name); });

io::Task<void> run_phases(Arena& arena, int phases, int users, int operations, bool with_crashes) {
  for (int phase = 0; phase < phases && !::testing::Test::HasFailure(); ++phase) {
    io::Gate gate;
    for (int user = 0; user < users; ++user) {
      io::spawn(arena.use(static_cast<std::uint64_t>(phase * 1000 + user), operations, with_crashes, gate));
    }
    co_await gate.drained();
    co_await arena.compare();
  }
}

io::Task<void> close(Arena& arena) {
  arena.disk->set_failures(0);
  const auto closed = co_await arena.cache->close();
  EXPECT_TRUE(closed);
}

io::Task<void> run_and_close(Arena& arena) {
  co_await run_phases(arena, 4, 24, 60, true);
  const CacheStatistics counted = arena.cache->statistics().cache;
  EXPECT_GT(counted.hits, 100u);
  EXPECT_GT(counted.misses, 100u);
  EXPECT_GT(counted.evictions, 0u);
  co_await close(arena);
}

TEST_P(CacheModel, AnswersAsADiskMayOnOneReactor) {
  auto reactor = io::Reactor::create();
  ASSERT_TRUE(reactor);
  Arena arena(GetParam(), 17);
  io::testing::run(**reactor, run_and_close(arena));
}

/// A reactor with a thread of its own.
class Thread {
 public:
  Thread() {
    std::promise<io::Reactor*> started;
    auto reactor = started.get_future();
    thread_ = std::jthread([&started] {
      auto made = io::Reactor::create();
      io::Reactor& mine = **made;
      started.set_value(&mine);
      mine.run();
    });
    reactor_ = reactor.get();
  }
  ~Thread() { reactor_->stop(); }

  /// Runs a task there and waits for its end.
  std::future<void> start(std::function<io::Task<void>()> make) {
    auto ended = std::make_shared<std::promise<void>>();
    auto future = ended->get_future();
    reactor_->post([make = std::move(make), ended] { io::spawn(report(make(), ended)); });
    return future;
  }

 private:
  static io::Task<void> report(io::Task<void> task, std::shared_ptr<std::promise<void>> ended) {
    co_await std::move(task);
    ended->set_value();
  }

  io::Reactor* reactor_ = nullptr;
  std::jthread thread_;
};

io::Task<void> use_from_thread(Arena& arena, std::uint64_t seed) {
  io::Gate gate;
  for (std::uint64_t user = 0; user < 12; ++user) io::spawn(arena.use(seed * 100 + user, 60, false, gate));
  co_await gate.drained();
}

TEST_P(CacheModel, AnswersAsADiskMayOnSeveralReactors) {
  Arena arena(GetParam(), 99);
  std::vector<Thread> threads(3);
  for (std::uint64_t phase = 0; phase < 3; ++phase) {
    std::vector<std::future<void>> users;
    for (Thread& thread : threads) {
      const std::uint64_t seed = phase * 10 + users.size();
      users.push_back(thread.start([&arena, seed] { return use_from_thread(arena, seed); }));
    }
    for (const auto& user : users) user.wait();
    threads[phase].start([&arena] { return arena.compare(); }).wait();
  }
  threads[1].start([&arena] { return close(arena); }).wait();
}

}  // namespace
}  // namespace peerlane::block
