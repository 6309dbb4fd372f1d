#include "cli/copy_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/command_line.h"

namespace peerlane::cli {
namespace {

using ::testing::HasSubstr;

Result<CopyOptions> options_of(std::vector<std::string> words) {
  words.insert(words.begin(), "copy");
  const auto parsed = parse_command_line(words);
  if (!parsed) return fail(EINVAL, parsed.error().text);
  return to_options(std::get<CopyArguments>(*parsed));
}

TEST(CopyArguments, Defaults) {
  const auto options = options_of({"a", "b"});
  ASSERT_TRUE(options);
  EXPECT_EQ(0U, options->plan.source_offset);
  EXPECT_FALSE(options->plan.length);
  EXPECT_EQ(copy::Sparse::kAuto, options->plan.sparse);
  EXPECT_EQ(0U, options->job.depth) << "as many as are found to be best";
  EXPECT_EQ(limits::kCopyRequestBytes, options->job.request_bytes);
  EXPECT_EQ(0U, options->job.rate);
  EXPECT_FALSE(options->job.verify);
}

TEST(CopyArguments, AllOfThem) {
  const auto options =
      options_of({"-", "b", "--length", "1M", "--destination-offset", "7", "--sparse", "always", "--verify", "--resume",
                  "j", "--rate", "10M", "--depth", "3", "--request-size", "64K"});
  ASSERT_TRUE(options) << options.error().text();
  EXPECT_EQ(1U << 20, options->plan.length);
  EXPECT_EQ(7U, options->plan.destination_offset);
  EXPECT_EQ(copy::Sparse::kAlways, options->plan.sparse);
  EXPECT_TRUE(options->job.verify);
  EXPECT_EQ("j", options->job.journal);
  EXPECT_EQ(10U << 20, options->job.rate);
  EXPECT_EQ(3U, options->job.depth);
  EXPECT_EQ(64U << 10, options->job.request_bytes);
}

TEST(CopyArguments, ALengthOfNothingIsALength) {
  const auto options = options_of({"a", "b", "--length", "0"});
  ASSERT_TRUE(options);
  EXPECT_EQ(0U, options->plan.length);
}

TEST(CopyArguments, WhatIsWrongNamesTheOption) {
  const std::vector<std::pair<std::vector<std::string>, const char*>> cases = {
      {{"a"}, "DESTINATION"},
      {{"a", "b", "c"}, "c"},
      {{"a", "b", "--offset", "x"}, "--offset"},
      {{"a", "b", "--length", "-1"}, "--length"},
      {{"a", "b", "--rate", "1K"}, "--rate"},
      {{"a", "b", "--request-size", "2M"}, "--request-size"},
      {{"a", "b", "--request-size", "5000"}, "--request-size"},
      {{"a", "b", "--request-size", "20000"}, "--request-size"},
      {{"a", "b", "--depth", "0"}, "--depth"},
      {{"a", "b", "--depth", "65"}, "--depth"},
      {{"a", "b", "--sparse", "maybe"}, "--sparse"},
      {{"-", "b", "--offset", "1"}, "--offset"},
  };
  for (const auto& [words, option] : cases) {
    const auto options = options_of(words);
    ASSERT_FALSE(options) << option;
    EXPECT_THAT(options.error().text(), HasSubstr(option));
  }
}

}  // namespace
}  // namespace peerlane::cli
