#include "copy/plan.h"

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/limits.h"
#include "block/ram_device.h"
#include "copy/testing/model_device.h"
#include "io/testing.h"

namespace peerlane::copy {
namespace {

using testing::ModelDevice;
using testing::ModelOptions;

constexpr std::uint64_t kMiB = 1u << 20;

End end_of(block::Device& device, std::uint64_t size, const char* name) {
  End end;
  end.device = &device;
  end.size = size;
  end.name = name;
  return end;
}

class PlanTest : public ::testing::Test {
 protected:
  Result<Plan> make(const End& source, const End& destination, const PlanOptions& options) {
    Result<Plan> result = fail(EIO);
    io::testing::run(*reactor_, into(result, source, destination, options));
    return result;
  }
  std::vector<PlannedExtent> all_of(const Plan& plan) {
    std::vector<PlannedExtent> all;
    io::testing::run(*reactor_, collect(plan, all));
    return all;
  }
  std::vector<PlannedExtent> first_window_of(const Plan& plan) {
    std::vector<PlannedExtent> window;
    io::testing::run(*reactor_, take_window(plan, window));
    return window;
  }

  /// Pages of data with holes between them.
  static io::Task<void> scatter(block::Device& device, std::uint64_t pages) {
    const std::vector<std::uint8_t> data(4096, 1);
    for (std::uint64_t i = 0; i < pages; ++i) {
      const auto written = co_await device.write(i * 4096 * 2, data, block::WriteFlags::kNone);
      EXPECT_TRUE(written);
    }
  }

 private:
  static io::Task<void> into(Result<Plan>& result, End source, End destination, PlanOptions options) {
    auto planned = co_await plan(std::move(source), std::move(destination), options);
    result = std::move(planned);
  }
  static io::Task<void> take_window(const Plan& plan, std::vector<PlannedExtent>& window) {
    auto extents = co_await plan.window(0);
    window = std::move(*extents);
  }
  static io::Task<void> collect(const Plan& plan, std::vector<PlannedExtent>& all) {
    std::uint64_t position = 0;
    while (position < plan.most()) {
      const auto extents = co_await plan.window(position);
      EXPECT_TRUE(extents && !extents->empty());
      if (!extents || extents->empty()) co_return;
      for (const PlannedExtent& extent : *extents) {
        EXPECT_EQ(position, extent.position);
        EXPECT_GT(extent.length, 0U);
        position += extent.length;
        all.push_back(extent);
      }
    }
    EXPECT_EQ(plan.most(), position);
  }

  std::unique_ptr<io::Reactor> reactor_ = *io::Reactor::create();
};

TEST_F(PlanTest, RefusesRangesThatAreNotOnTheDisks) {
  ModelDevice source({.size = kMiB});
  ModelDevice destination({.size = kMiB / 2});
  const End from = end_of(source, kMiB, "from");
  const End to = end_of(destination, kMiB / 2, "to");
  EXPECT_EQ(ENOSPC, make(from, to, {}).error().code);
  EXPECT_NE(std::string::npos, make(from, to, {}).error().text().find("to is too small"));
  EXPECT_EQ(EINVAL, make(from, to, {.source_offset = kMiB + 1, .length = {}}).error().code);
  EXPECT_EQ(EINVAL, make(from, to, {.source_offset = kMiB - 1, .length = 2}).error().code);
  EXPECT_EQ(ENOSPC, make(from, to, {.length = 2, .destination_offset = kMiB / 2 - 1}).error().code);
  EXPECT_EQ(ENOSPC, make(from, to, {.length = 1, .destination_offset = UINT64_MAX}).error().code);
  EXPECT_TRUE(make(from, to, {.source_offset = kMiB / 2, .length = {}}));
  EXPECT_TRUE(make(from, to, {.source_offset = kMiB, .length = 0, .destination_offset = kMiB / 2}));
}

TEST_F(PlanTest, RefusesADestinationThatIsReadOnly) {
  const auto source = *block::RamDevice::create(kMiB, 512, false, "ram:1M");
  const auto destination = *block::RamDevice::create(kMiB, 512, true, "ram:1M");
  EXPECT_EQ(EROFS, make(end_of(*source, kMiB, "a"), end_of(*destination, kMiB, "b"), {}).error().code);
}

TEST_F(PlanTest, TakesTheShortestWayThatTheDestinationHas) {
  ModelDevice source({.size = kMiB});  // nothing but holes
  ModelDevice zeroing({.size = kMiB});
  ModelDevice plain({.size = kMiB, .write_zeroes = false, .unmap = false});
  const End from = end_of(source, kMiB, "from");
  const auto way = [this](const Plan& plan) { return plan.routes()[all_of(plan).front().route]; };

  const Route by_zeroes = way(*make(from, end_of(zeroing, kMiB, "to"), {}));
  EXPECT_EQ(Way::kZeroes, by_zeroes.way);
  ASSERT_EQ(1U, by_zeroes.refusals.size());
  EXPECT_EQ(Way::kSkip, by_zeroes.refusals[0].way);

  const Route by_memory = way(*make(from, end_of(plain, kMiB, "to"), {}));
  EXPECT_EQ(Way::kHostMemory, by_memory.way);
  EXPECT_TRUE(by_memory.zero);
  EXPECT_EQ(2U, by_memory.refusals.size());

  End fresh = end_of(plain, kMiB, "to");
  fresh.zero_from = 0;
  EXPECT_EQ(Way::kSkip, way(*make(from, fresh, {})).way);

  const Route never = way(*make(from, fresh, {.length = {}, .sparse = Sparse::kNever}));
  EXPECT_EQ(Way::kHostMemory, never.way);
  EXPECT_FALSE(never.zero);
}

TEST_F(PlanTest, SplitsAHoleWhereTheDestinationStartsToBeZeroes) {
  ModelDevice source({.size = kMiB});
  ModelDevice destination({.size = kMiB, .block = 4096});
  End to = end_of(destination, kMiB, "to");
  to.zero_from = 100'000;  // not at a block
  const auto plan = make(end_of(source, kMiB, "from"), to, {});
  const auto extents = all_of(*plan);
  ASSERT_EQ(2U, extents.size());
  EXPECT_EQ(102'400U, extents[0].length);
  EXPECT_EQ(Way::kZeroes, plan->routes()[extents[0].route].way);
  EXPECT_EQ(Way::kSkip, plan->routes()[extents[1].route].way);
}

/// Whatever the blocks and offsets: extents have no gaps, end at blocks of the destination, and no data is taken for a
/// hole.
TEST_F(PlanTest, CoversEverythingAtTheDestinationsBlocks) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    std::mt19937_64 random(seed);
    ModelDevice source({.size = kMiB / 2, .block = random() % 2 == 0 ? 512U : 4096U, .slow = false, .seed = seed});
    ModelDevice destination({.size = kMiB, .block = random() % 2 == 0 ? 512U : 4096U});
    source.fill(16384);
    source.map_extents = 1 + random() % 5;
    const PlanOptions options{.source_offset = random() % 10000,
                              .length = random() % 400'000,
                              .destination_offset = random() % 2 == 0 ? 0 : random() % 10000};
    const auto plan = make(end_of(source, kMiB / 2, "from"), end_of(destination, kMiB, "to"), options);
    ASSERT_TRUE(plan);
    const std::uint64_t block = destination.geometry().logical_block_size;
    for (const PlannedExtent& extent : all_of(*plan)) {
      const std::uint64_t end = extent.position + extent.length;
      EXPECT_TRUE(end == *options.length || (end + options.destination_offset) % block == 0) << "seed " << seed;
      if (!plan->routes()[extent.route].zero) continue;
      for (std::uint64_t at = extent.position; at < end; ++at) {
        ASSERT_EQ(0, source.bytes()[options.source_offset + at]) << "seed " << seed << " at " << at;
      }
    }
    EXPECT_TRUE(source.complaints().empty()) << source.complaints().front();
  }
}

TEST_F(PlanTest, HoldsNoMoreThanAWindowOfAHugeDisk) {
  constexpr std::uint64_t kTiB = std::uint64_t{1} << 40;
  const auto source = *block::RamDevice::create(kTiB, 4096, false, "ram:1T");
  const auto destination = *block::RamDevice::create(kTiB, 4096, false, "ram:1T");
  io::testing::run(io::Reactor::current(), scatter(*source, 5000));
  const auto plan = make(end_of(*source, kTiB, "from"), end_of(*destination, kTiB, "to"), {});
  ASSERT_TRUE(plan);
  EXPECT_LE(first_window_of(*plan).size(), limits::kPlanExtents + 1);
  EXPECT_EQ(10'000U, all_of(*plan).size());
}

TEST_F(PlanTest, KnowsOverlapAndItsDirection) {
  ModelDevice disk({.size = kMiB});
  const End end = end_of(disk, kMiB, "disk");
  const auto up = make(end, end, {.source_offset = 0, .length = 1000, .destination_offset = 999});
  EXPECT_TRUE(up->overlapping() && up->backward());
  const auto down = make(end, end, {.source_offset = 999, .length = 1000, .destination_offset = 0});
  EXPECT_TRUE(down->overlapping() && !down->backward());
  const auto apart = make(end, end, {.source_offset = 0, .length = 1000, .destination_offset = 1000});
  EXPECT_FALSE(apart->overlapping());
  EXPECT_EQ(Way::kHostMemory, up->routes()[all_of(*up).front().route].way);
}

TEST_F(PlanTest, RemembersWaysForOnePolicyAndOneFile) {
  const std::string directory = fmt::format("{}/peerlane-plan-test-{}", ::testing::TempDir(), getpid());
  std::filesystem::create_directory(directory);
  const auto opened = [&](const char* name) {
    const std::string path = fmt::format("{}/{}", directory, name);
    std::filesystem::remove(path);
    std::ofstream(path) << std::string(kMiB, 'x');
    return *block::open_device(path, {});
  };
  const auto reason = [&](block::Device& from, block::Device& to, const char* name, pcie::Policy policy) {
    PlanOptions options;
    options.policy = policy;
    const auto planned = make(end_of(from, kMiB, "from"), end_of(to, kMiB, name), options);
    if (!planned) return planned.error().text();
    for (const Refusal& refusal : planned->routes().front().refusals) {
      if (refusal.way == Way::kPeerToPeer) return refusal.reason;
    }
    return std::string("no reason");
  };
  const auto from = opened("from");
  const auto to = opened("to");
  const std::string first = reason(*from, *to, "to", pcie::Policy::kKernel);
  EXPECT_EQ(reason(*from, *to, "to", pcie::Policy::kKernel), first);
  EXPECT_EQ(reason(*from, *to, "to", pcie::Policy::kOff), "the policy is off");
  EXPECT_EQ(reason(*from, *to, "to", pcie::Policy::kKernel), first);
  // A device that is no file of this host has never been looked at.
  const auto ram = *block::RamDevice::create(kMiB, 512, false, "ram:1M");
  EXPECT_EQ(reason(*from, *ram, "to", pcie::Policy::kKernel), "to is no file and no block device of this machine");
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace peerlane::copy
