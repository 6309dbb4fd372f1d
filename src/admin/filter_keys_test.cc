#include "admin/filter_keys.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/config.h"

namespace peerlane::admin {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

Configuration parse(std::string_view text) {
  ConfigurationContext context;
  context.check_disks = false;
  return parse_configuration(text, context);
}
/// A file with one LUN that has these keys.
Configuration with_keys(std::string_view keys, std::string_view disk = "/srv/disk") {
  return parse(fmt::format("[[target]]\n[[target.lun]]\ndisk = \"{}\"\n{}\n", disk, keys));
}
std::vector<std::string> findings(const Configuration& configuration) {
  std::vector<std::string> lines;
  for (const Finding& finding : configuration.findings) lines.push_back(to_line("f", finding).substr(2));
  return lines;
}
block::FilterOptions filters(std::string_view keys) {
  const Configuration configuration = with_keys(keys);
  EXPECT_THAT(findings(configuration), IsEmpty());
  return configuration.declaration.targets.at(0).luns.at(0).filters;
}

TEST(FilterKeys, ThereAreNoFiltersUnlessAskedFor) {
  const block::FilterOptions none = filters("");
  EXPECT_EQ(none.cache.mode, block::CacheMode::kOff);
  EXPECT_FALSE(none.throttle.any());
  EXPECT_FALSE(none.delay.any());
  EXPECT_TRUE(none.faults.empty());
  EXPECT_EQ(with_keys("").declaration.cache_memory, limits::kCacheBytes);
}

TEST(FilterKeys, EveryKeyArrives) {
  const block::FilterOptions all = filters(R"(
cache = "write-back"
read_ahead = "512K"
iops = 1000
iops_burst = 50
bandwidth = "100M"
bandwidth_burst = "8M"
[target.lun.delay]
read_us = 1
write_us = 2
flush_us = 3
jitter_us = 4
seed = 5
[[target.lun.fault]]
operation = "write_zeroes"
offset = "1M"
length = "4K"
error = "ENOSPC"
after = 6
count = 7
probability = 0.25
seed = 8
[[target.lun.fault]]
)");
  EXPECT_EQ(all.cache.mode, block::CacheMode::kWriteBack);
  EXPECT_EQ(all.cache.read_ahead, 512u << 10);
  EXPECT_EQ(all.throttle.iops, 1000u);
  EXPECT_EQ(all.throttle.iops_burst, 50u);
  EXPECT_EQ(all.throttle.bandwidth, 100u << 20);
  EXPECT_EQ(all.throttle.bandwidth_burst, 8u << 20);
  EXPECT_EQ(all.delay.read.count(), 1);
  EXPECT_EQ(all.delay.write.count(), 2);
  EXPECT_EQ(all.delay.flush.count(), 3);
  EXPECT_EQ(all.delay.jitter.count(), 4);
  EXPECT_EQ(all.delay.seed, 5u);
  ASSERT_EQ(all.faults.size(), 2u);
  const block::FaultRule& rule = all.faults[0];
  EXPECT_EQ(rule.operation, block::FaultOperation::kWriteZeroes);
  EXPECT_EQ(rule.offset, 1u << 20);
  EXPECT_EQ(rule.length, 4096u);
  EXPECT_EQ(rule.error, ENOSPC);
  EXPECT_EQ(rule.after, 6u);
  EXPECT_EQ(rule.count, 7u);
  EXPECT_EQ(rule.probability, 0.25);
  EXPECT_EQ(rule.seed, 8u);
  EXPECT_EQ(all.faults[1].operation, block::FaultOperation::kAny);
  EXPECT_EQ(all.faults[1].error, EIO);
}

TEST(FilterKeys, MemoryOfTheCache) {
  const std::string lun = "[[target]]\n[[target.lun]]\ndisk = \"/srv/disk\"\n";
  EXPECT_EQ(parse("[service]\ncache_memory = \"1G\"\n" + lun).declaration.cache_memory, 1u << 30);
  EXPECT_THAT(findings(parse("[service]\ncache_memory = \"1M\"\n" + lun)),
              ElementsAre(AllOf(StartsWith("2:16: error"), HasSubstr("cannot be 1 MiB"), HasSubstr("from 8 MiB to"))));
  EXPECT_THAT(findings(parse("[service]\ncache_memory = \"much\"\n" + lun)),
              ElementsAre(HasSubstr("cache_memory of [service]")));
}

TEST(FilterKeys, WhatIsWrongIsSaidWithARemedy) {
  EXPECT_THAT(findings(with_keys("cache = \"on\"")),
              ElementsAre(HasSubstr("\"off\", \"write-through\", \"write-back\"")));
  EXPECT_THAT(findings(with_keys("read_ahead = \"1M\"")), ElementsAre(HasSubstr("without a cache does nothing")));
  EXPECT_THAT(findings(with_keys("cache = \"write-back\"\nread_ahead = \"1G\"")),
              ElementsAre(HasSubstr("read_ahead of [[target.lun]] cannot be 1 GiB")));
  EXPECT_THAT(findings(with_keys("iops = 0")), ElementsAre(HasSubstr("cannot be 0")));
  EXPECT_THAT(findings(with_keys("iops_burst = 5")), ElementsAre(HasSubstr("iops_burst without iops limits nothing")));
  EXPECT_THAT(findings(with_keys("bandwidth = \"1K\"")), ElementsAre(HasSubstr("from 64 KiB to 1 TiB")));
  EXPECT_THAT(findings(with_keys("[target.lun.delay]\nread_us = -1\nreed_us = 1")),
              ElementsAre(HasSubstr("cannot be -1"), HasSubstr("did you mean read_us?")));
  EXPECT_THAT(
      findings(with_keys("[[target.lun.fault]]\nprobability = 2\nerror = \"EPERM\"\noperation = \"reed\"")),
      ElementsAre(HasSubstr("from 0 to 1"), HasSubstr("give one of: \"EIO\""), HasSubstr("give one of: \"any\"")));
  EXPECT_THAT(findings(with_keys("[[target.lun.fault]]\nprobability = \"x\"")), ElementsAre(HasSubstr("a number")));
}

TEST(FilterKeys, ACacheThatContradictsAnotherKeyIsRefused) {
  EXPECT_THAT(findings(with_keys("cache = \"write-back\"\nwrite_cache = \"through\"")),
              ElementsAre(AllOf(HasSubstr("error"), HasSubstr("cannot go both"))));
  EXPECT_THAT(findings(with_keys("cache = \"write-through\"\nwrite_cache = \"through\"")), IsEmpty());
}

TEST(FilterKeys, ACacheThatOnlyDoublesAnotherIsWarnedOf) {
  EXPECT_THAT(findings(with_keys("cache = \"write-through\"", "ram:1G")),
              ElementsAre(AllOf(HasSubstr("warning"), HasSubstr("in memory already"))));
  EXPECT_THAT(findings(with_keys("cache = \"write-through\"\ndirect = false")),
              ElementsAre(AllOf(HasSubstr("warning"), HasSubstr("kept twice"))));
  EXPECT_FALSE(has_errors(with_keys("cache = \"write-through\"", "ram:1G").findings));
}

TEST(FilterKeys, ADiskWithACacheIsServedOnceOrOnlyRead) {
  const auto twice = [](std::string_view one, std::string_view other) {
    const Configuration both = parse(fmt::format(
        "[[target]]\n[[target.lun]]\ndisk = \"/srv/a\"\n{}\n[[target.lun]]\ndisk = \"/srv/a\"\n{}\n", one, other));
    return has_errors(both.findings);
  };
  EXPECT_TRUE(twice("cache = \"write-through\"", ""));
  EXPECT_TRUE(twice("read_only = true", "cache = \"write-back\""));
  EXPECT_FALSE(twice("cache = \"write-through\"\nread_only = true", "read_only = true"));
  EXPECT_FALSE(twice("", ""));
}

}  // namespace
}  // namespace peerlane::admin
