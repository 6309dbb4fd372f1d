#include "pcie/address.h"

#include <gtest/gtest.h>

namespace peerlane::pcie {
namespace {

TEST(Address, ReadsWhatLinuxWrites) {
  EXPECT_EQ(parse_address("0000:03:1f.7"), (Address{0, 3, 31, 7}));
  EXPECT_EQ(parse_address("10000:e1:00.0"), (Address{0x10000, 0xe1, 0, 0}));
  for (const char* const text : {"0000:00:00.0", "0001:ff:1e.3", "10000:e1:00.0"}) {
    EXPECT_EQ(to_string(parse_address(text).value()), text);
  }
}

TEST(Address, TakesNothingElse) {
  for (const char* const text :
       {"", "0000:03:1f", "0000:03:20.0", "0000:03:1f.8", "000:03:1f.0", "0000:3:1f.0", "0000:03:1f.0 ",
        "0000:03:1f.00", "0000:g3:1f.0", "123456789:03:1f.0", "0000:03:-1.0", "nvme0n1", ":::.", "0000:03:1f.0:0"}) {
    EXPECT_FALSE(parse_address(text)) << text;
  }
}

}  // namespace
}  // namespace peerlane::pcie
