#include "base/units.h"

#include <gtest/gtest.h>

namespace peerlane {
namespace {

TEST(Size, ParsesWhatPeopleWrite) {
  EXPECT_EQ(parse_size("0").value(), 0u);
  EXPECT_EQ(parse_size("512").value(), 512u);
  EXPECT_EQ(parse_size("4k").value(), 4096u);
  EXPECT_EQ(parse_size("4 KiB").value(), 4096u);
  EXPECT_EQ(parse_size("64MB").value(), 64u << 20);
  EXPECT_EQ(parse_size("8T").value(), 8ull << 40);
}

TEST(Size, RefusesWhatIsNoSize) {
  for (const char* text : {"", "G", "-1", "1X", "1.5G", "4  K", "4KK", "4Ki", "0x10", "1G "}) {
    EXPECT_FALSE(parse_size(text).has_value()) << text;
  }
  EXPECT_EQ(parse_size("8192P").error().code, ERANGE);
  EXPECT_EQ(parse_size("99999999999999999999").error().code, ERANGE);
}

TEST(Size, FormatsWhatItParses) {
  EXPECT_EQ(format_size(0), "0 bytes");
  EXPECT_EQ(format_size(1023), "1023 bytes");
  EXPECT_EQ(format_size(64u << 20), "64 MiB");
  EXPECT_EQ(format_size(3ull << 29), "1.50 GiB");
}

TEST(Plural, CountsInWords) {
  EXPECT_EQ(plural(0, "target"), "0 targets");
  EXPECT_EQ(plural(1, "target"), "1 target");
  EXPECT_EQ(plural(2, "target"), "2 targets");
}

}  // namespace
}  // namespace peerlane
