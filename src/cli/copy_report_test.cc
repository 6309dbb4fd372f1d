#include "cli/copy_report.h"

#include <gtest/gtest.h>

namespace peerlane::cli {
namespace {

using namespace std::chrono_literals;
using copy::Phase;
using copy::Progress;

constexpr std::uint64_t kGiB = 1u << 30;

TEST(ProgressMode, DependsOnTheTerminalOnlyWhenNothingElseIsSaid) {
  EXPECT_EQ(ProgressMode::kBar, progress_mode("auto", false, true));
  EXPECT_EQ(ProgressMode::kLines, progress_mode("auto", false, false));
  EXPECT_EQ(ProgressMode::kLines, progress_mode("lines", false, true));
  EXPECT_EQ(ProgressMode::kBar, progress_mode("bar", false, false));
  EXPECT_EQ(ProgressMode::kJson, progress_mode("json", false, true));
  EXPECT_EQ(ProgressMode::kNone, progress_mode("none", false, true));
  EXPECT_EQ(ProgressMode::kNone, progress_mode("bar", true, true));
}

TEST(ProgressLine, Reads) {
  const Progress half{.phase = Phase::kCopying, .done = kGiB, .total = 2 * kGiB};
  EXPECT_EQ("50% of 2 GiB, 812 MB/s, 7 s left", progress_line(half, 812e6, 7s, 0));
  EXPECT_EQ("[##  ] 50% of 2 GiB, 1.50 GB/s, 2:05 min left", progress_line(half, 1.5e9, 125s, 4));
  EXPECT_EQ("50% of 2 GiB, 3 kB/s, 27:46 h left", progress_line(half, 3e3, 99999s, 0));
  EXPECT_EQ("50% of 2 GiB, 0 kB/s", progress_line(half, 0, std::nullopt, 0));
}

TEST(ProgressLine, HasNoPartWhereTheEndIsNotKnown) {
  const Progress stream{.phase = Phase::kCopying, .done = kGiB, .total = std::nullopt};
  EXPECT_EQ("1 GiB, 100 MB/s", progress_line(stream, 100e6, 5s, 10));
}

TEST(ProgressLine, NamesThePhase) {
  const Progress verifying{.phase = Phase::kVerifying, .done = 0, .total = kGiB};
  EXPECT_EQ("verifying: 0% of 1 GiB, 0 kB/s", progress_line(verifying, 0, std::nullopt, 0));
  const Progress flushing{.phase = Phase::kFlushing, .done = kGiB, .total = kGiB};
  EXPECT_EQ("bringing the destination to stable storage", progress_line(flushing, 1, 1s, 10));
}

TEST(ProgressLine, OfNothingIsAllOfIt) {
  const Progress nothing{.phase = Phase::kCopying, .done = 0, .total = 0};
  EXPECT_EQ("[####] 100% of 0 bytes, 0 kB/s", progress_line(nothing, 0, std::nullopt, 4));
}

TEST(ProgressJson, IsOneObject) {
  const Progress half{.phase = Phase::kVerifying, .done = 10, .total = 20, .moved = 5};
  EXPECT_EQ(R"({"phase":"verifying","done":10,"total":20,"moved":5,"bytes_per_second":3,"seconds_left":4})",
            progress_json(half, 3.9, 4s));
  const Progress stream{.phase = Phase::kCopying, .done = 10, .total = std::nullopt, .moved = 10};
  EXPECT_EQ(R"({"phase":"copying","done":10,"total":null,"moved":10,"bytes_per_second":0,"seconds_left":null})",
            progress_json(stream, 0, 4s));
}

}  // namespace
}  // namespace peerlane::cli
