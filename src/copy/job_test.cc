#include "copy/job.h"

#include <algorithm>
#include <filesystem>
#include <functional>

#include <gtest/gtest.h>
#include <unistd.h>

#include "block/filter_device.h"
#include "copy/testing/model_device.h"
#include "io/testing.h"

namespace peerlane::copy {
namespace {

using namespace std::chrono_literals;
using testing::ModelDevice;
using testing::ModelOptions;
using Operation = ModelDevice::Operation;

constexpr std::uint64_t kMiB = 1u << 20;

End end_of(block::Device& device, std::uint64_t size, const char* name) {
  End end;
  end.device = &device;
  end.size = size;
  end.name = name;
  end.identity = name;
  return end;
}

/// How a copy ended.
struct Outcome {
  Result<void> result;
  Summary summary;
};

class JobTest : public ::testing::Test {
 protected:
  /// Copies to the end. `during` is called with the job when it has been started.
  Outcome copy(const End& from, const End& to, const PlanOptions& plan_options, const JobOptions& options,
               std::function<void(Job&)> during = {}) {
    Outcome outcome;
    io::testing::run(*reactor_, run(outcome, from, to, plan_options, options, std::move(during)));
    return outcome;
  }

  static io::Task<void> look_and_resume(Job& job, std::uint64_t& done) {
    co_await io::sleep(io::Reactor::current(), 20ms);
    done = job.progress().done;
    job.resume();
  }

  std::string scratch_file(const char* name) {
    const std::string path = fmt::format("{}/peerlane-job-test-{}-{}", ::testing::TempDir(), getpid(), name);
    std::filesystem::remove(path);
    files_.push_back(path);
    return path;
  }
  void TearDown() override {
    for (const std::string& path : files_) std::filesystem::remove(path);
  }

 private:
  static io::Task<void> run(Outcome& outcome, End from, End to, PlanOptions plan_options, JobOptions options,
                            std::function<void(Job&)> during) {
    auto planned = co_await plan(std::move(from), std::move(to), plan_options);
    if (!planned) {
      outcome.result = std::unexpected(planned.error());
      co_return;
    }
    const auto job = std::make_unique<Job>(std::move(*planned), std::move(options));
    if (during) during(*job);
    outcome.result = co_await job->run();
    outcome.summary = job->summary();
  }

  std::unique_ptr<io::Reactor> reactor_ = *io::Reactor::create();
  std::vector<std::string> files_;
};

/// A direct way that often cannot after all, and then has left anything at the destination.
class UnreliableMover final : public Mover {
 public:
  UnreliableMover(Way way, const End& source, const End& destination, const MoverTools& tools)
      : way_(way), source_(source), destination_(destination), tools_(tools) {}

  io::Task<Result<void>> move(Piece piece) override {
    const io::Buffer buffer = co_await io::Reactor::current().buffers().allocate(tools_.share, piece.length);
    auto done = co_await source_.device->read(piece.source, buffer.bytes());
    const bool bad = ++calls_ % 3 == 0;
    if (bad) std::ranges::fill(buffer.bytes(), std::uint8_t{0xbd});
    if (done) done = co_await destination_.device->write(piece.destination, buffer.bytes(), block::WriteFlags::kNone);
    if (done && bad) done = fail(ENOTSUP, "not this time");
    if (done) tools_.account.add(way_, piece.length);
    co_return done;
  }

 private:
  const Way way_;
  const End& source_;
  const End& destination_;
  const MoverTools tools_;
  unsigned calls_ = 0;
};

DirectWay unreliable_way(Way way, std::uint64_t unit, std::uint64_t most) {
  const auto make = [way](const End& source, const End& destination, const MoverTools& tools) {
    return std::unique_ptr<Mover>(std::make_unique<UnreliableMover>(way, source, destination, tools));
  };
  return {.way = way,
          .unit = unit,
          .most = most,
          .to_end = false,
          .through = {},
          .bandwidth = {},
          .refusals = {},
          .make_mover = make};
}

io::Task<DirectWays> find_unreliable_ways(const End&, const End&, pcie::Policy) {
  DirectWays ways;
  ways.open.push_back(unreliable_way(Way::kClone, 16384, 16384 * 20));
  ways.open.push_back(unreliable_way(Way::kPeerToPeer, 4096, 4096 * 12));
  ways.refusals.push_back({Way::kNvmeCopy, "not in this test"});
  co_return ways;
}

/// One copy of everything that can be chosen, by chance, against what an array of bytes would have.
struct RandomCopy {
  explicit RandomCopy(std::uint64_t seed) : random(seed) {
    const auto pick = [this](auto a, auto b) { return random() % 2 == 0 ? a : b; };
    source_size = 1 + random() % (3 * kMiB);
    plan.source_offset = pick(std::uint64_t{0}, random() % source_size);
    plan.length = pick(source_size - plan.source_offset, random() % (source_size - plan.source_offset + 1));
    plan.destination_offset = random() % 3 == 0 ? plan.source_offset : pick(std::uint64_t{0}, random() % 20000);
    plan.sparse = std::array{Sparse::kAuto, Sparse::kAlways, Sparse::kNever}[random() % 3];
    destination_size = plan.destination_offset + *plan.length + pick(std::uint64_t{0}, random() % 20000);
    source = {.size = source_size, .block = pick(512U, 4096U), .alignment = pick(1U, 4096U), .map = random() % 4 != 0};
    source.seed = seed;
    destination = {.size = destination_size, .block = pick(512U, 4096U), .alignment = pick(1U, 4096U)};
    destination.map = random() % 4 != 0;
    destination.write_zeroes = random() % 2 == 0;
    destination.unmap_unit = pick(std::uint64_t{0}, std::uint64_t{8192});
    job.depth = static_cast<unsigned>(random() % 20);
    job.request_bytes = pick(std::size_t{1} << 20, std::size_t{16} << 10);
    job.verify = true;
    if (random() % 2 == 0) plan.find_ways = find_unreliable_ways;
  }

  std::mt19937_64 random;
  std::uint64_t source_size = 0;
  std::uint64_t destination_size = 0;
  ModelOptions source;
  ModelOptions destination;
  PlanOptions plan;
  JobOptions job;
};

TEST_F(JobTest, CopiesAnyRangeBetweenAnyBlocksExactly) {
  std::uint64_t direct = 0;
  std::uint64_t fallen_back = 0;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    RandomCopy what(seed);
    ModelDevice source(what.source);
    ModelDevice destination(what.destination);
    source.fill(200'000);
    // A source's padding behind its end reads as zeroes.
    std::fill(source.bytes().begin() + static_cast<std::ptrdiff_t>(what.source_size), source.bytes().end(), 0);
    End to = end_of(destination, what.destination_size, "to");
    if (what.random() % 2 == 0) {
      to.zero_from = 0;
    } else {
      destination.fill_with(0xee);
      std::fill(destination.bytes().begin() + static_cast<std::ptrdiff_t>(what.destination_size),
                destination.bytes().end(), 0);
    }
    std::vector<std::uint8_t> expected = destination.bytes();
    std::copy_n(source.bytes().begin() + static_cast<std::ptrdiff_t>(what.plan.source_offset), *what.plan.length,
                expected.begin() + static_cast<std::ptrdiff_t>(what.plan.destination_offset));

    const Outcome outcome = copy(end_of(source, what.source_size, "from"), to, what.plan, what.job);
    ASSERT_TRUE(outcome.result) << outcome.result.error().text();
    EXPECT_TRUE(expected == destination.bytes());
    EXPECT_TRUE(destination.clean());
    const Account& account = outcome.summary.account;
    std::uint64_t counted = 0;
    for (const Way way : kAllWays) counted += account.of(way);
    EXPECT_EQ(*what.plan.length, counted);
    direct += account.of(Way::kClone);
    fallen_back += account.of(Way::kPeerToPeer);
    EXPECT_EQ(*what.plan.length, outcome.summary.bytes);
    EXPECT_TRUE(outcome.summary.verified);
    EXPECT_TRUE(source.complaints().empty()) << source.complaints().front();
    EXPECT_TRUE(destination.complaints().empty()) << destination.complaints().front();
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(direct, kMiB);
  EXPECT_GT(fallen_back, kMiB);
}

TEST_F(JobTest, TellsWhyPiecesTookALongerWay) {
  ModelDevice source({.size = 4 * kMiB, .map = false});
  ModelDevice destination({.size = 4 * kMiB});
  source.fill(100'000);
  const PlanOptions options{.length = {}, .find_ways = find_unreliable_ways};
  const Outcome outcome = copy(end_of(source, 4 * kMiB, "from"), end_of(destination, 4 * kMiB, "to"), options, {});
  ASSERT_TRUE(outcome.result) << outcome.result.error().text();
  EXPECT_EQ(source.bytes(), destination.bytes());
  const Summary& summary = outcome.summary;
  ASSERT_EQ(2U, summary.fallbacks.size());
  EXPECT_EQ(Way::kClone, summary.fallbacks[0].from);
  EXPECT_EQ("not this time", summary.fallbacks[0].reason);
  EXPECT_EQ(Way::kPeerToPeer, summary.fallbacks[1].from);
  EXPECT_EQ(summary.account.fallbacks, summary.fallbacks[0].pieces + summary.fallbacks[1].pieces);
  EXPECT_GT(summary.account.of(Way::kHostMemory), 0U);
}

TEST_F(JobTest, TakesNoOtherWayThanTheOnlyOneThatIsWanted) {
  ModelDevice source({.size = 4 * kMiB, .map = false});
  ModelDevice destination({.size = 4 * kMiB});
  source.fill(100'000);
  PlanOptions options{.length = {}, .only = Way::kPeerToPeer, .find_ways = find_unreliable_ways};
  const End from = end_of(source, 4 * kMiB, "from");
  const End to = end_of(destination, 4 * kMiB, "to");
  const Outcome broken = copy(from, to, options, {});
  ASSERT_FALSE(broken.result);
  EXPECT_EQ(EOPNOTSUPP, broken.result.error().code);
  EXPECT_NE(std::string::npos, broken.result.error().message.find("only peer-to-peer is wanted"));
  EXPECT_EQ(0U, broken.summary.account.of(Way::kHostMemory));
  options.only = Way::kHostMemory;
  const Outcome through_memory = copy(from, to, options, {});
  ASSERT_TRUE(through_memory.result);
  EXPECT_EQ(4 * kMiB, through_memory.summary.account.of(Way::kHostMemory));
}

TEST_F(JobTest, APauseBeginsNothingNew) {
  ModelDevice source({.size = 4 * kMiB, .map = false});
  ModelDevice destination({.size = 4 * kMiB});
  source.fill(100'000);
  const JobOptions options{.depth = 2, .request_bytes = 64u << 10};
  std::uint64_t while_paused = 0;
  const Outcome outcome =
      copy(end_of(source, 4 * kMiB, "from"), end_of(destination, 4 * kMiB, "to"), {}, options, [&](Job& job) {
        job.pause();
        io::spawn(look_and_resume(job, while_paused));
      });
  ASSERT_TRUE(outcome.result) << outcome.result.error().text();
  EXPECT_EQ(0U, while_paused);
  EXPECT_EQ(source.bytes(), destination.bytes());
}

TEST_F(JobTest, MovesInsideADiskAsMemmoveDoes) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    ModelDevice disk({.size = 3 * kMiB, .block = random() % 2 == 0 ? 512U : 4096U, .seed = seed});
    disk.fill(100'000);
    const PlanOptions options{
        .source_offset = random() % kMiB, .length = random() % (2 * kMiB), .destination_offset = random() % kMiB};
    std::vector<std::uint8_t> expected = disk.bytes();
    std::memmove(expected.data() + options.destination_offset, expected.data() + options.source_offset,
                 *options.length);
    const End end = end_of(disk, 3 * kMiB, "disk");
    const Outcome outcome = copy(end, end, options, {});
    ASSERT_TRUE(outcome.result) << outcome.result.error().text();
    EXPECT_TRUE(expected == disk.bytes());
  }
}

TEST_F(JobTest, LeavesZeroesToTheDestination) {
  ModelDevice source({.size = 8 * kMiB});
  ModelDevice destination({.size = 8 * kMiB});
  destination.fill_with(0xff);
  const Outcome outcome = copy(end_of(source, 8 * kMiB, "from"), end_of(destination, 8 * kMiB, "to"), {}, {});
  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(0U, destination.written());
  EXPECT_EQ(8 * kMiB, destination.zeroed());
  EXPECT_EQ(0U, outcome.summary.account.memory_bytes);
  EXPECT_EQ(8 * kMiB, outcome.summary.account.of(Way::kZeroes));
}

TEST_F(JobTest, FindsZeroesInDataOnlyWhenToldTo) {
  ModelDevice source({.size = 4 * kMiB, .map = false});
  std::fill_n(source.bytes().begin() + kMiB, kMiB / 2, 7);
  for (const Sparse sparse : {Sparse::kAuto, Sparse::kAlways}) {
    ModelDevice destination({.size = 4 * kMiB});
    destination.fill_with(0xff);
    const PlanOptions options{.length = {}, .sparse = sparse};
    const Outcome outcome = copy(end_of(source, 4 * kMiB, "from"), end_of(destination, 4 * kMiB, "to"), options, {});
    ASSERT_TRUE(outcome.result);
    EXPECT_EQ(sparse == Sparse::kAlways ? kMiB / 2 : 4 * kMiB, destination.written());
    EXPECT_EQ(source.bytes(), destination.bytes());
  }
}

TEST_F(JobTest, GoesThroughMemoryWhereZeroesAreRefusedAfterAll) {
  ModelDevice source({.size = 4 * kMiB});
  ModelDevice destination({.size = 4 * kMiB});
  destination.fill_with(0xff);
  destination.zeroes_error = EOPNOTSUPP;
  destination.fail_at(Operation::kZeroes, 1, true);
  const Outcome outcome = copy(end_of(source, 4 * kMiB, "from"), end_of(destination, 4 * kMiB, "to"), {}, {});
  ASSERT_TRUE(outcome.result) << outcome.result.error().text();
  EXPECT_EQ(source.bytes(), destination.bytes());
  EXPECT_EQ(4 * kMiB, outcome.summary.account.of(Way::kHostMemory));
  EXPECT_GT(outcome.summary.account.fallbacks, 0U);
}

TEST_F(JobTest, NamesTheEndAndThePlaceOfAnError) {
  struct Case {
    bool at_source;
    Operation operation;
    const char* says;
  };
  for (const Case& what : {Case{true, Operation::kRead, "reading from at offset 2097152: "},
                           Case{false, Operation::kWrite, "writing to at offset 2097152: "},
                           Case{false, Operation::kFlush, "bringing to to stable storage: "}}) {
    ModelDevice source({.size = 4 * kMiB, .map = false, .slow = false});
    ModelDevice destination({.size = 4 * kMiB, .slow = false});
    (what.at_source ? source : destination).fail_at(what.operation, what.operation == Operation::kFlush ? 1 : 3);
    const Outcome outcome =
        copy(end_of(source, 4 * kMiB, "from"), end_of(destination, 4 * kMiB, "to"), {}, {.depth = 1});
    ASSERT_FALSE(outcome.result);
    EXPECT_EQ(EIO, outcome.result.error().code);
    EXPECT_EQ(0U, outcome.result.error().text().find(what.says)) << outcome.result.error().text();
  }
}

/// A disk at the other end of a long wire. Counts how many reads are on their way at the same time.
class FarAway final : public block::FilterDevice {
 public:
  explicit FarAway(std::unique_ptr<block::Device> inner) : FilterDevice(std::move(inner)) {}

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override {
    most_ = std::max(most_, ++reads_);
    co_await io::sleep(io::Reactor::current(), 10ms);
    --reads_;
    auto done = co_await inner().read(offset, into);
    co_return done;
  }

  unsigned most() const { return most_; }

 private:
  unsigned reads_ = 0;
  unsigned most_ = 0;
};

TEST_F(JobTest, HasMoreUnderWayWhereThatIsFaster) {
  constexpr std::uint64_t kSize = 24 * kMiB;
  for (const unsigned depth : {0U, 3U}) {
    FarAway source(std::make_unique<ModelDevice>(ModelOptions{.size = kSize, .map = false, .slow = false}));
    ModelDevice destination({.size = kSize, .slow = false});
    const std::uint64_t length = depth == 0 ? kSize : kMiB;
    const Outcome outcome = copy(end_of(source, length, "from"), end_of(destination, length, "to"), {},
                                 {.depth = depth, .request_bytes = 16u << 10});
    ASSERT_TRUE(outcome.result) << outcome.result.error().text();
    if (depth == 0) {
      EXPECT_GE(source.most(), 4 * limits::kFirstCopyDepth);
    } else {
      EXPECT_EQ(depth, source.most());
    }
  }
}

TEST_F(JobTest, BeginsNothingNewAfterAnError) {
  ModelDevice source({.size = 32 * kMiB, .map = false});
  ModelDevice destination({.size = 32 * kMiB});
  destination.fail_at(Operation::kWrite, 1);
  const Outcome outcome =
      copy(end_of(source, 32 * kMiB, "from"), end_of(destination, 32 * kMiB, "to"), {}, {.depth = 4});
  EXPECT_FALSE(outcome.result);
  EXPECT_LE(destination.written(), 4 * kMiB);
  EXPECT_EQ(0U, destination.flushes());
}

TEST_F(JobTest, TellsHowFarItCameWithoutAGap) {
  std::uint64_t behind_gaps = 0;
  for (std::uint64_t n = 1; n <= 8; ++n) {
    SCOPED_TRACE(n);
    ModelDevice source({.size = 16 * kMiB, .map = false, .seed = n});
    source.fill(60'000);
    ModelDevice destination({.size = 16 * kMiB, .seed = n});
    destination.fill_with(0xaa);
    destination.fail_at(Operation::kWrite, n);
    const Outcome outcome =
        copy(end_of(source, 16 * kMiB, "from"), end_of(destination, 16 * kMiB, "to"), {}, {.depth = 4});
    ASSERT_FALSE(outcome.result);
    const Summary& summary = outcome.summary;
    ASSERT_LE(summary.contiguous, summary.bytes);
    const auto begin = source.bytes().begin();
    EXPECT_TRUE(
        std::equal(begin, begin + static_cast<std::ptrdiff_t>(summary.contiguous), destination.bytes().begin()));
    behind_gaps += summary.bytes - summary.contiguous;
  }
  EXPECT_GT(behind_gaps, 0U) << "pieces beside the one that failed were done";
}

TEST_F(JobTest, FindsTheFirstDifferenceWhenItVerifies) {
  ModelDevice source({.size = 4 * kMiB});
  ModelDevice destination({.size = 4 * kMiB});
  source.fill(50'000);
  // Written as it should be, and changed by somebody else before it is read back.
  bool changed = false;
  End to = end_of(destination, 4 * kMiB, "to");
  const std::uint64_t place = 3 * kMiB + 12345;
  to.settle = [&](std::uint64_t end) -> Result<void> {
    EXPECT_EQ(4 * kMiB, end);
    destination.bytes()[place] ^= 1;
    destination.bytes()[place + kMiB / 2] ^= 1;
    changed = true;
    return {};
  };
  const PlanOptions options{.length = {}, .sparse = Sparse::kNever};
  const std::string journal = scratch_file("differs");
  const Outcome outcome = copy(end_of(source, 4 * kMiB, "from"), to, options, {.verify = true, .journal = journal});
  EXPECT_FALSE(std::filesystem::exists(journal));  // what it would say is not so
  EXPECT_TRUE(changed);
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(EILSEQ, outcome.result.error().code);
  EXPECT_NE(std::string::npos, outcome.result.error().text().find(fmt::format("offset {} ", place)))
      << outcome.result.error().text();
  EXPECT_FALSE(outcome.summary.verified);
}

TEST_F(JobTest, EndsSoonWhenItIsCanceled) {
  ModelDevice source({.size = 16 * kMiB, .map = false});
  ModelDevice destination({.size = 16 * kMiB});
  const auto started = io::Clock::now();
  std::optional<io::Timer> timer;
  const Outcome outcome = copy(end_of(source, 16 * kMiB, "from"), end_of(destination, 16 * kMiB, "to"), {},
                               {.rate = kMiB}, [&timer](Job& job) {
                                 timer.emplace(io::Reactor::current(), [&job] { job.cancel(); });
                                 timer->arm_after(300ms);
                               });
  ASSERT_FALSE(outcome.result);
  EXPECT_EQ(ECANCELED, outcome.result.error().code);
  EXPECT_LT(io::Clock::now() - started, 5s);
  EXPECT_LT(outcome.summary.bytes, 4 * kMiB);
}

TEST_F(JobTest, KeepsToTheRate) {
  ModelDevice source({.size = 2 * kMiB, .map = false});
  ModelDevice destination({.size = 2 * kMiB});
  const auto started = io::Clock::now();
  const Outcome outcome =
      copy(end_of(source, 2 * kMiB, "from"), end_of(destination, 2 * kMiB, "to"), {}, {.rate = 2 * kMiB});
  ASSERT_TRUE(outcome.result);
  EXPECT_GE(io::Clock::now() - started, 700ms);
}

/// Interrupted and crashed at every possible write, and gone on with: the result is always right, and what was done
/// before is not done again.
TEST_F(JobTest, GoesOnAfterACrash) {
  for (std::uint64_t n = 1; n < 60; n += 3) {
    SCOPED_TRACE(n);
    const std::string journal = scratch_file("journal");
    ModelDevice source({.size = 2 * kMiB, .seed = n});
    source.fill(60'000);
    ModelDevice destination({.size = 2 * kMiB, .seed = n});
    destination.fill_with(0xaa);
    const JobOptions options{
        .depth = 4, .request_bytes = 32768, .rate = 0, .verify = false, .journal = journal, .journal_interval = 2ms};
    const End from = end_of(source, 2 * kMiB, "from");
    const End to = end_of(destination, 2 * kMiB, "to");
    const PlanOptions plan_options{.length = {}, .sparse = n % 2 == 0 ? Sparse::kAuto : Sparse::kNever};
    destination.fail_at(Operation::kWrite, n);
    const Outcome first = copy(from, to, plan_options, options);
    destination.fail_at(Operation::kWrite, 0);
    destination.crash();
    const Outcome second = copy(from, to, plan_options, options);
    ASSERT_TRUE(second.result) << second.result.error().text();
    EXPECT_TRUE(source.bytes() == destination.bytes());
    EXPECT_FALSE(std::filesystem::exists(journal));
    if (!first.result && n > 30) {
      EXPECT_GT(second.summary.resumed_at, 0U);
    }
  }
}

TEST_F(JobTest, DoesNotGoOnWithAnotherCopysJournal) {
  const std::string journal = scratch_file("other");
  ModelDevice source({.size = 2 * kMiB, .map = false});
  ModelDevice destination({.size = 2 * kMiB});
  const JobOptions options{.depth = 1, .request_bytes = 32768, .rate = 0, .verify = false, .journal = journal};
  destination.fail_at(Operation::kWrite, 10);
  End from = end_of(source, 2 * kMiB, "from");
  End to = end_of(destination, 2 * kMiB, "to");
  EXPECT_FALSE(copy(from, to, {}, options).result);
  ASSERT_TRUE(std::filesystem::exists(journal));
  const std::uint64_t written = destination.written();

  const auto refused = [&](const End& a, const End& b, const PlanOptions& plan_options) {
    const Outcome outcome = copy(a, b, plan_options, options);
    return !outcome.result && outcome.result.error().code == EINVAL && destination.written() == written;
  };
  End changed = from;
  changed.identity = "from, changed";
  EXPECT_TRUE(refused(changed, to, {}));
  End replaced = to;
  replaced.identity = "another";
  EXPECT_TRUE(refused(from, replaced, {}));
  End cut = to;
  cut.zero_from = 4096;
  EXPECT_TRUE(refused(from, cut, {}));
  EXPECT_TRUE(refused(from, to, {.length = kMiB}));
  EXPECT_TRUE(refused(from, to, {.source_offset = 512, .length = {}}));
  EXPECT_TRUE(std::filesystem::exists(journal));
  EXPECT_TRUE(copy(from, to, {}, options).result);
}

TEST_F(JobTest, RefusesWhatCannotBeHad) {
  ModelDevice disk({.size = 2 * kMiB});
  ModelDevice other({.size = 2 * kMiB});
  const End end = end_of(disk, 2 * kMiB, "disk");
  const PlanOptions overlapping{.length = kMiB, .destination_offset = 1};
  EXPECT_EQ(EINVAL, copy(end, end, overlapping, {.verify = true}).result.error().code);
  const JobOptions journaled{.journal = scratch_file("refused")};
  EXPECT_EQ(EINVAL, copy(end, end, overlapping, journaled).result.error().code);
  End nameless = end_of(other, 2 * kMiB, "memory");
  nameless.identity.clear();
  EXPECT_EQ(EINVAL, copy(end, nameless, {}, journaled).result.error().code);
}

}  // namespace
}  // namespace peerlane::copy
