#include "scsi/copy_log_page.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace peerlane::scsi {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes page_of(const CopyLog& log) {
  Bytes out(8192);
  LogPageWriter page(kCopyLogPage, 0, out);
  put_copy_log(log, page);
  out.resize(page.finish());
  return out;
}

Bytes page_of(Lun lun, const CopyForecast& forecast) {
  Bytes out(4096);
  LogPageWriter page(kCopyLogPage, 0, out);
  put_copy_forecast(lun, forecast, page);
  out.resize(page.finish());
  return out;
}

TEST(CopyLogPage, IsOfTheseBytes) {
  const Bytes page = page_of({.ways = {{"ab", 0x0102}}, .memory_bytes = 3, .last = "xy"});
  const Bytes expected{0x36, 0,  0, 12 + 14 + 6, 0, 0, 2, 12 - 4, 0, 0, 0,   0,   0, 0, 0, 3, 0,   1,
                       3,    10, 0, 0,           0, 0, 0, 0,      1, 2, 'a', 'b', 1, 0, 1, 2, 'x', 'y'};
  EXPECT_EQ(page, expected);
}

TEST(CopyLogPage, ComesBackAsItWas) {
  const CopyLog log{.ways = {{"clone", 1}, {"host memory", UINT64_MAX}}, .memory_bytes = 7, .last = "clone"};
  EXPECT_EQ(decode_copy_log(page_of(log)), log);
  const CopyForecast forecast{.way = "host memory", .refusals = {"not clone: no", "not NVMe Copy: no"}};
  EXPECT_EQ(decode_copy_forecast(page_of(Lun{5}, forecast), Lun{5}), forecast);
  EXPECT_EQ(decode_copy_forecast(page_of(Lun{kMostLun}, forecast), Lun{kMostLun}), forecast);
  EXPECT_FALSE(decode_copy_forecast(page_of(Lun{5}, forecast), Lun{6}));
}

TEST(CopyLogPage, WhatIsTooLongIsCut) {
  CopyLog log;
  for (std::size_t i = 0; i < limits::kCopyLogWays + 3; ++i) log.ways.push_back({std::string(300, 'w'), i});
  log.last = std::string(300, 'l');
  const auto decoded = decode_copy_log(page_of(log));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(limits::kCopyLogWays, decoded->ways.size());
  EXPECT_EQ(std::string(limits::kCopyLogTextBytes, 'w'), decoded->ways[0].name);
  EXPECT_EQ(std::string(limits::kCopyLogTextBytes, 'l'), decoded->last);
  const auto forecast =
      decode_copy_forecast(page_of(Lun{1}, {.way = "a", .refusals = {std::string(300, 'r')}}), Lun{1});
  ASSERT_TRUE(forecast);
  EXPECT_EQ("a", forecast->way);
  ASSERT_EQ(1U, forecast->refusals.size());
  EXPECT_EQ(std::string(limits::kCopyLogTextBytes - 5, 'r') + "...", forecast->refusals[0]);
}

TEST(CopyLogPage, TakesNothingOnTrust) {
  EXPECT_FALSE(decode_copy_log({}));
  const Bytes other{0x31, 0, 0, 0};
  EXPECT_FALSE(decode_copy_log(other));
  EXPECT_FALSE(decode_copy_forecast(other, Lun{1}));
  const Bytes page = page_of({.ways = {{"ab", 1}}, .memory_bytes = 3, .last = std::string("\x1b[2J\0", 5)});
  EXPECT_EQ("?[2J?", decode_copy_log(page)->last);
  // Whatever is cut off is missing, and nothing else is made of it.
  for (std::size_t size = 4; size < page.size(); ++size) {
    const auto part = decode_copy_log(ByteView(page).first(size));
    ASSERT_TRUE(part);
    EXPECT_TRUE(part->last.empty());
    EXPECT_EQ(part->memory_bytes, size >= 16 ? 3U : 0U);
    EXPECT_EQ(part->ways.size(), size >= 30 ? 1U : 0U);
  }
  // A way without a name, a counter of another size.
  const Bytes odd{0x36, 0, 0, 18, 0, 0, 2, 2, 1, 2, 0, 1, 3, 8, 0, 0, 0, 0, 0, 0, 0, 9};
  EXPECT_EQ(decode_copy_log(odd), CopyLog{});
}

}  // namespace
}  // namespace peerlane::scsi
