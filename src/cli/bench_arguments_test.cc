#include "cli/bench_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace peerlane::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1 << 20;

block::Geometry disk_of(std::uint64_t size, std::uint32_t block_size = 512) {
  return {.size = size, .logical_block_size = block_size, .physical_block_size = block_size};
}

TEST(BenchArguments, Patterns) {
  const struct {
    const char* pattern;
    bool random;
    unsigned read_percent;
    bool writes;
  } cases[] = {{"read", false, 100, false},    {"write", false, 0, true},    {"rw", false, 30, true},
               {"randread", true, 100, false}, {"randwrite", true, 0, true}, {"randrw", true, 30, true},
               {"mix", true, 30, true}};
  for (const auto& expected : cases) {
    BenchArguments arguments;
    arguments.pattern = expected.pattern;
    arguments.read_percent = 30;
    const auto options = to_load_options(arguments);
    ASSERT_TRUE(options) << expected.pattern;
    EXPECT_EQ(options->random, expected.random) << expected.pattern;
    EXPECT_EQ(options->read_percent, expected.read_percent) << expected.pattern;
    EXPECT_EQ(arguments.writes(), expected.writes) << expected.pattern;
  }
}

TEST(BenchArguments, TimeIsLimitedUnlessTheBytesAre) {
  BenchArguments arguments;
  EXPECT_EQ(to_load_options(arguments)->time, 10s);
  arguments.bytes = "1M";
  EXPECT_EQ(to_load_options(arguments)->time, 0s);
  EXPECT_EQ(to_load_options(arguments)->ios, 256u);
  arguments.time = 2.5;
  EXPECT_EQ(to_load_options(arguments)->time, 2500ms);
}

TEST(BenchArguments, ASeedIsChosenOnlyForWhoWrites) {
  BenchArguments arguments;
  arguments.verify = true;
  const auto refused = to_load_options(arguments);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().text(), HasSubstr("--seed"));
  arguments.seed = "0x10";
  EXPECT_EQ(to_load_options(arguments)->seed, 16u);
  arguments.seed = "";
  arguments.pattern = "write";
  EXPECT_NE(to_load_options(arguments)->seed, to_load_options(arguments)->seed);
}

TEST(BenchArguments, WhatIsWrongIsNamed) {
  const auto refusal_of = [](auto change) {
    BenchArguments arguments;
    change(arguments);
    const auto options = to_load_options(arguments);
    return options ? std::string("accepted") : options.error().text();
  };
  EXPECT_THAT(refusal_of([](auto& a) { a.block_size = "0"; }), HasSubstr("--block-size"));
  EXPECT_THAT(refusal_of([](auto& a) { a.block_size = "1000"; }), HasSubstr("--block-size"));
  EXPECT_THAT(refusal_of([](auto& a) { a.block_size = "128M"; }), HasSubstr("--block-size"));
  EXPECT_THAT(refusal_of([](auto& a) { a.bytes = "1K"; }), HasSubstr("--bytes"));
  EXPECT_THAT(refusal_of([](auto& a) { a.bytes = "many"; }), HasSubstr("--bytes"));
  EXPECT_THAT(refusal_of([](auto& a) { a.threads = 2; }), HasSubstr("--sessions"));
  EXPECT_THAT(refusal_of([](auto& a) { a.seed = "x"; }), HasSubstr("--seed"));
  EXPECT_THAT(refusal_of([](auto& a) {
                a.block_size = "64M";
                a.depth = 1024;
              }),
              HasSubstr("memory"));
}

TEST(BenchArguments, TheRangeIsWholeBlocksOfTheDisk) {
  BenchArguments arguments;
  LoadOptions options = *to_load_options(arguments);
  ASSERT_TRUE(fit_to_disk(arguments, disk_of(kMiB + 512), options));
  EXPECT_EQ(options.begin, 0u);
  EXPECT_EQ(options.end, kMiB);
  arguments.offset = "8K";
  arguments.length = "10K";
  ASSERT_TRUE(fit_to_disk(arguments, disk_of(kMiB), options));
  EXPECT_EQ(options.begin, 8192u);
  EXPECT_EQ(options.end, 8192u + 8192u);
}

TEST(BenchArguments, ADiskMustHaveRoom) {
  const auto refusal_of = [](auto change, const block::Geometry& disk) {
    BenchArguments arguments;
    change(arguments);
    LoadOptions options = *to_load_options(arguments);
    const auto fits = fit_to_disk(arguments, disk, options);
    return fits ? std::string("accepted") : fits.error().text();
  };
  EXPECT_THAT(refusal_of([](auto& a) { a.block_size = "512"; }, disk_of(kMiB, 4096)), HasSubstr("--block-size"));
  EXPECT_THAT(refusal_of([](auto& a) { a.offset = "512"; }, disk_of(kMiB, 4096)), HasSubstr("--offset"));
  EXPECT_THAT(refusal_of([](auto& a) { a.offset = "1M"; }, disk_of(kMiB)), HasSubstr("end of the disk"));
  EXPECT_THAT(refusal_of([](auto& a) { a.length = "2M"; }, disk_of(kMiB)), HasSubstr("end of the disk"));
  EXPECT_THAT(refusal_of([](auto& a) { a.block_size = "2M"; }, disk_of(kMiB)), HasSubstr("0 blocks"));
  EXPECT_THAT(refusal_of([](auto& a) { a.sessions = 200; }, disk_of(kMiB / 2)), HasSubstr("200 sessions"));
  EXPECT_EQ(refusal_of([](auto&) {}, disk_of(kMiB)), "accepted");
}

}  // namespace
}  // namespace peerlane::cli
