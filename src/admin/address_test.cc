#include "admin/address.h"

#include <gtest/gtest.h>

namespace peerlane::admin {
namespace {

TEST(Portal, Forms) {
  const struct {
    const char* text;
    const char* host;
    int port;
  } cases[] = {
      {"127.0.0.1", "127.0.0.1", 3260},     {"127.0.0.1:0", "127.0.0.1", 0}, {"0.0.0.0:65535", "0.0.0.0", 65535},
      {"[::1]:3261", "::1", 3261},          {"[::1]", "::1", 3260},          {"::1", "::1", 3260},
      {"2001:db8::7", "2001:db8::7", 3260},
  };
  for (const auto& expected : cases) {
    const auto portal = parse_portal(expected.text);
    ASSERT_TRUE(portal) << expected.text << ": " << portal.error().what;
    EXPECT_EQ(portal->host, expected.host);
    EXPECT_EQ(portal->port, expected.port);
    EXPECT_EQ(portal->group_tag, 1);
  }
}

TEST(Portal, Refused) {
  for (const char* text : {"", ":", ":3260", "localhost", "localhost:3260", "127.0.0.1:", "127.0.0.1:65536",
                           "127.0.0.1:-1", "127.0.0.1:3260x", "127.1", "1.2.3.4.5", "[::1", "[::1]3260",
                           "[::1]:", "[127.0.0.1]:3260", "[]:1", "::1:3260:x", "fe80::1%lo"}) {
    EXPECT_FALSE(parse_portal(text)) << text;
  }
}

TEST(Address, Loopback) {
  for (const char* host : {"127.0.0.1", "127.255.0.9", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"}) {
    EXPECT_TRUE(is_loopback(host)) << host;
  }
  for (const char* host : {"0.0.0.0", "::", "128.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "", "localhost"}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

TEST(Address, Any) {
  EXPECT_TRUE(is_any_address("0.0.0.0"));
  EXPECT_TRUE(is_any_address("::"));
  EXPECT_FALSE(is_any_address("0.0.0.1"));
  EXPECT_FALSE(is_any_address(""));
}

TEST(Address, Patterns) {
  for (const char* text : {"10.0.0.1", "10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32", "::/0", "2001:db8::/33", "::1"}) {
    EXPECT_FALSE(check_address_pattern(text)) << text;
  }
  for (const char* text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/8x", "10.0.0.0/-1", "10.0.0.1/31",
                           "2001:db8::1/64", "host", "10.0.0.0/8/8", "::/129"}) {
    EXPECT_TRUE(check_address_pattern(text)) << text;
  }
  EXPECT_EQ(check_address_pattern("10.0.0.1/31")->remedy,
            "write 10.0.0.0/31 for the network, or 10.0.0.1 for the one address");
}

}  // namespace
}  // namespace peerlane::admin
