#include "target/access.h"

#include <gtest/gtest.h>

namespace peerlane::target {
namespace {

TEST(Access, InitiatorNamesMatchWholeOrByPrefix) {
  EXPECT_TRUE(matches_initiator("iqn.2026-01.dev.example:a", "iqn.2026-01.dev.example:a"));
  EXPECT_FALSE(matches_initiator("iqn.2026-01.dev.example:a", "iqn.2026-01.dev.example:ab"));
  EXPECT_TRUE(matches_initiator("iqn.2026-01.dev.example:*", "iqn.2026-01.dev.example:ab"));
  EXPECT_FALSE(matches_initiator("iqn.2026-01.dev.example:*", "iqn.2026-01.dev.exampl"));
  EXPECT_TRUE(matches_initiator("*", "eui.02004567A425678D"));
}

TEST(Access, AddressesMatchWholeOrByPrefix) {
  EXPECT_TRUE(matches_address("192.0.2.7", "192.0.2.7"));
  EXPECT_FALSE(matches_address("192.0.2.7", "192.0.2.70"));
  EXPECT_TRUE(matches_address("192.0.2.0/24", "192.0.2.255"));
  EXPECT_FALSE(matches_address("192.0.2.0/25", "192.0.2.128"));
  EXPECT_TRUE(matches_address("192.0.2.128/25", "192.0.2.129"));
  EXPECT_TRUE(matches_address("0.0.0.0/0", "203.0.113.9"));
  EXPECT_FALSE(matches_address("0.0.0.0/0", "2001:db8::1")) << "all of IPv4 is not all of IPv6";
  EXPECT_TRUE(matches_address("2001:db8::/32", "2001:db8:ffff::1"));
  EXPECT_FALSE(matches_address("2001:db8::/32", "2001:db9::1"));
  EXPECT_TRUE(matches_address("192.0.2.0/24", "::ffff:192.0.2.9"));
}

TEST(Access, NonsenseMatchesNothing) {
  for (const char* entry : {"", "/", "192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "192.0.2.0/8x", "host", "192.0.2"}) {
    EXPECT_FALSE(matches_address(entry, "192.0.2.0")) << entry;
  }
  EXPECT_FALSE(matches_address("0.0.0.0/0", "unknown"));
}

TEST(Access, HostOfAnAddress) {
  EXPECT_EQ(host_of("127.0.0.1:3260"), "127.0.0.1");
  EXPECT_EQ(host_of("[::1]:3260"), "::1");
}

}  // namespace
}  // namespace peerlane::target
