#include "pcie/link.h"

#include <gtest/gtest.h>

namespace peerlane::pcie {
namespace {

TEST(Link, BytesPerSecondByEncoding) {
  EXPECT_EQ((Link{2500, 1}.bytes_per_second()), 250'000'000u);
  EXPECT_EQ((Link{5000, 4}.bytes_per_second()), 2'000'000'000u);
  EXPECT_EQ((Link{8000, 4}.bytes_per_second()), 3'938'461'538u);
  EXPECT_EQ((Link{16000, 4}.bytes_per_second()), 7'876'923'076u);
  EXPECT_EQ((Link{32000, 16}.bytes_per_second()), 63'015'384'615u);
  EXPECT_EQ((Link{64000, 4}.bytes_per_second()), 29'500'000'000u);
  EXPECT_EQ((Link{}.bytes_per_second()), 0u);
}

TEST(Link, ReadsTheRateThatSysfsSays) {
  EXPECT_EQ(parse_link_rate("2.5 GT/s PCIe"), 2500u);
  EXPECT_EQ(parse_link_rate("16.0 GT/s PCIe"), 16000u);
  EXPECT_EQ(parse_link_rate("8 GT/s"), 8000u);
  EXPECT_EQ(parse_link_rate("Unknown speed"), 0u);
  for (const char* const text : {"", "fast", "-2.5 GT/s", "2.5", "999.0 GT/s", "2. GT/s", "0 GT/s", "16.0 MB/s"}) {
    EXPECT_FALSE(parse_link_rate(text)) << text;
  }
}

TEST(Link, Text) {
  EXPECT_EQ(to_string(Link{2500, 1}), "2.5 GT/s x1");
  EXPECT_EQ(to_string(Link{32000, 4}), "32 GT/s x4");
  EXPECT_EQ(to_string(Link{0, 4}), "unknown");
}

}  // namespace
}  // namespace peerlane::pcie
