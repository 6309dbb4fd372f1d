#include "copy/third_party.h"

#include <algorithm>
#include <chrono>
#include <functional>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "copy/job.h"
#include "copy/plan.h"
#include "copy/testing/model_device.h"
#include "io/testing.h"

namespace peerlane::copy {
namespace {

using namespace std::chrono_literals;
using testing::ModelDevice;

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kUnit = 4096;
constexpr std::uint64_t kMost = 256u << 10;

/// Storage that has both disks of a test, and does with requests what the test says.
class Storage final : public block::CopyOffload {
 public:
  Storage(ModelDevice& source, ModelDevice& destination) : source_(source), destination_(destination) {
    source.offload = this;
    destination.offload = this;
  }

  io::Task<Result<std::shared_ptr<block::OffloadedCopy>>> offer_copy_from(block::CopyOffload&) override {
    if (!offering) co_return fail(ENOTSUP, "not today");
    std::shared_ptr<block::OffloadedCopy> copy = std::make_shared<Copy>(*this);
    co_return copy;
  }

  bool offering = true;
  int error = 0;              // of each request, after half of it has been done; 0: none
  bool endless = false;       // requests go on until they are cancelled
  std::uint64_t reports = 0;  // bytes that a request is said to have moved while it is under way
  bool tells = true;

  unsigned asked = 0;
  unsigned under_way = 0;
  unsigned most_under_way = 0;
  std::uint64_t longest = 0;

 private:
  struct Copy final : block::OffloadedCopy {
    explicit Copy(Storage& all) : storage(all) {
      terms.unit = kUnit;
      terms.most = kMost;
      terms.way = "magic";
      terms.refusals = {"not a clone: no"};
    }
    const block::CopyOffer& offer() const override { return terms; }
    std::string place() const override { return "within a box"; }
    io::Task<Result<void>> copy(block::CopyRange range, block::CopyWatch& watch) override {
      return storage.carry_out(range, watch);
    }
    io::Task<std::optional<block::CopyAccount>> account() override {
      if (!storage.tells) co_return std::nullopt;
      co_return block::CopyAccount{.ways = {{"magic", 1}}, .memory_bytes = 2, .last = "real magic"};
    }
    Storage& storage;
    block::CopyOffer terms;
  };

  io::Task<Result<void>> carry_out(block::CopyRange range, block::CopyWatch& watch) {
    ++asked;
    most_under_way = std::max(most_under_way, ++under_way);
    longest = std::max(longest, range.length);
    watch.moved = reports;
    co_await io::sleep(io::Reactor::current(), 1ms);
    while (endless && !watch.canceled) co_await io::sleep(io::Reactor::current(), 1ms);
    --under_way;
    if (watch.canceled) co_return fail(ECANCELED);
    const auto done = static_cast<std::ptrdiff_t>(error != 0 ? range.length / 2 : range.length);
    const auto from = source_.bytes().begin() + static_cast<std::ptrdiff_t>(range.from);
    std::copy(from, from + done, destination_.bytes().begin() + static_cast<std::ptrdiff_t>(range.to));
    if (error != 0) co_return fail(error, "the box says no");
    co_return Result<void>();
  }

  ModelDevice& source_;
  ModelDevice& destination_;
};

class ThirdPartyTest : public ::testing::Test {
 protected:
  ThirdPartyTest() { source.fill(100'000); }

  Result<void> copy(PlanOptions options = {}, JobOptions job_options = {}, std::function<void(Job&)> during = {}) {
    Result<void> result;
    io::testing::run(*reactor_, run(*this, options, std::move(job_options), std::move(during), result));
    return result;
  }

  ModelDevice source{{.size = 4 * kMiB, .map = false}};
  ModelDevice destination{{.size = 4 * kMiB}};
  Storage storage{source, destination};
  Summary summary;
  std::vector<Route> routes;
  std::vector<DirectWay> ways;

 private:
  static End end_of(ModelDevice& device, const char* name) {
    End end;
    end.device = &device;
    end.size = 4 * kMiB;
    end.name = name;
    return end;
  }
  static io::Task<void> run(ThirdPartyTest& test, PlanOptions options, JobOptions job_options,
                            std::function<void(Job&)> during, Result<void>& result) {
    End from = end_of(test.source, "from");
    End to = end_of(test.destination, "to");
    auto planned = co_await plan(std::move(from), std::move(to), options);
    if (!planned) {
      result = std::unexpected(planned.error());
      co_return;
    }
    test.routes = planned->routes();
    test.ways = planned->direct_ways();
    const auto job = std::make_unique<Job>(std::move(*planned), std::move(job_options));
    if (during) during(*job);
    result = co_await job->run();
    test.summary = job->summary();
  }

  std::unique_ptr<io::Reactor> reactor_ = *io::Reactor::create();
};

TEST_F(ThirdPartyTest, HasTheStorageCopyAndReadsNothing) {
  const auto done = copy();
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(source.bytes(), destination.bytes());
  EXPECT_EQ(0U, destination.written());
  EXPECT_EQ(4 * kMiB, summary.account.of(Way::kThirdParty));
  EXPECT_EQ(0U, summary.account.memory_bytes);
  EXPECT_EQ(kMost, storage.longest);
  EXPECT_EQ(limits::kThirdPartyDepth, storage.most_under_way);
  EXPECT_EQ("within a box, which runs magic", ways.at(0).through);
  EXPECT_EQ(std::vector<std::string>{"not a clone: no"}, ways.at(0).refusals);
  EXPECT_EQ("within a box, which ran real magic", summary.through);
  ASSERT_TRUE(summary.storage);
  EXPECT_EQ("magic", summary.storage->ways.at(0).name);
  EXPECT_EQ(2U, summary.storage->memory_bytes);
}

TEST_F(ThirdPartyTest, StorageThatTellsNothingIsNamedAllTheSame) {
  storage.tells = false;
  ASSERT_TRUE(copy());
  EXPECT_EQ("within a box", summary.through);
  EXPECT_FALSE(summary.storage);
}

TEST_F(ThirdPartyTest, SaysWhyThereIsNone) {
  storage.offering = false;
  ASSERT_TRUE(copy());
  EXPECT_EQ("not today", routes.at(0).refusals.back().reason);
  EXPECT_EQ(Way::kThirdParty, routes.at(0).refusals.back().way);
  source.offload = nullptr;
  ASSERT_TRUE(copy());
  EXPECT_EQ("from is no disk of a target", routes.at(0).refusals.back().reason);
  EXPECT_EQ(0U, storage.asked);
  EXPECT_EQ(source.bytes(), destination.bytes());
  const auto only = copy({.length = {}, .only = Way::kThirdParty});
  ASSERT_FALSE(only);
  EXPECT_EQ(EOPNOTSUPP, only.error().code);
}

TEST_F(ThirdPartyTest, WhatIsNotForItGoesThroughMemory) {
  // Blocks of 512 bytes at either end fill no unit of the storage.
  ASSERT_TRUE(copy({.source_offset = 512, .length = 2 * kMiB, .destination_offset = 512}));
  EXPECT_EQ(2 * kMiB - kUnit, summary.account.of(Way::kThirdParty));
  EXPECT_EQ(kUnit, summary.account.of(Way::kHostMemory));
  EXPECT_TRUE(std::equal(source.bytes().begin() + 512, source.bytes().begin() + 512 + 2 * kMiB,
                         destination.bytes().begin() + 512));
  const unsigned asked = storage.asked;
  ASSERT_TRUE(copy({.length = {}, .sparse = Sparse::kNever}));
  ASSERT_TRUE(copy({.length = {}, .sparse = Sparse::kAlways}));
  ASSERT_TRUE(copy({.source_offset = 512, .length = kMiB, .destination_offset = 1024}));
  EXPECT_EQ(asked, storage.asked);
}

TEST_F(ThirdPartyTest, ARefusalIsRepairedAndAFewEndTheWay) {
  storage.error = ENOTSUP;
  const auto done = copy();
  ASSERT_TRUE(done) << done.error().text();
  EXPECT_EQ(source.bytes(), destination.bytes());
  EXPECT_EQ(4 * kMiB, summary.account.of(Way::kHostMemory));
  EXPECT_GE(storage.asked, limits::kThirdPartyRefusals);
  EXPECT_LT(storage.asked, limits::kThirdPartyRefusals + limits::kThirdPartyDepth);
  ASSERT_EQ(1U, summary.fallbacks.size());
  EXPECT_EQ(Way::kThirdParty, summary.fallbacks[0].from);
  EXPECT_EQ("the box says no", summary.fallbacks[0].reason);
}

TEST_F(ThirdPartyTest, AnErrorEndsTheCopyAndNamesThePlace) {
  storage.error = ENOSPC;
  const auto done = copy();
  ASSERT_FALSE(done);
  EXPECT_EQ(ENOSPC, done.error().code);
  EXPECT_NE(std::string::npos, done.error().text().find("copying to to at offset")) << done.error().text();
  EXPECT_EQ(0U, summary.account.of(Way::kHostMemory));
}

TEST_F(ThirdPartyTest, ACancelledCopyDoesNotWaitForTheStorage) {
  storage.endless = true;
  storage.reports = 1000;
  std::uint64_t seen = 0;
  struct Cancel {
    static io::Task<void> soon(Job& job, std::uint64_t& done) {
      co_await io::testing::until([&job] { return job.progress().done == 1000 * limits::kThirdPartyDepth; });
      done = job.progress().done;
      job.cancel();
    }
  };
  const auto done = copy({}, {}, [&seen](Job& job) { io::spawn(Cancel::soon(job, seen)); });
  ASSERT_FALSE(done);
  EXPECT_EQ(ECANCELED, done.error().code);
  EXPECT_EQ(1000U * limits::kThirdPartyDepth, seen) << "what is under way counts as progress";
  EXPECT_EQ(limits::kThirdPartyDepth, storage.asked);
  EXPECT_EQ(0U, summary.bytes);
}

TEST_F(ThirdPartyTest, NoPieceIsLongerThanARateAllows) {
  JobOptions options;
  options.rate = kMiB;
  ASSERT_TRUE(copy({.length = kMiB}, options));
  EXPECT_EQ(kMiB / 8, storage.longest);
}

}  // namespace
}  // namespace peerlane::copy
