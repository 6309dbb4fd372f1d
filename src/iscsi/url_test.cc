#include "iscsi/url.h"

#include <string>

#include <gtest/gtest.h>

namespace peerlane::iscsi {
namespace {

TEST(Url, ReadsAllParts) {
  const auto url =
      parse_url("iscsi://alice%sec%41ret@192.0.2.1:3261/iqn.2004-10.org.example:disk/7?header_digest=crc32c&x=");
  ASSERT_TRUE(url) << url.error().message;
  EXPECT_EQ(url->user, "alice");
  EXPECT_EQ(url->password, "sec%41ret");
  EXPECT_EQ(url->host, "192.0.2.1");
  EXPECT_EQ(url->port, 3261);
  EXPECT_EQ(url->target, "iqn.2004-10.org.example:disk");
  EXPECT_EQ(url->lun, 7u);
  EXPECT_EQ(url->option("header_digest"), "crc32c");
  EXPECT_EQ(url->option("x"), "");
  EXPECT_EQ(url->option("none"), "");
}

TEST(Url, LeavesOutWhatMayBe) {
  const auto portal = parse_url("iscsi://storage.example.org");
  ASSERT_TRUE(portal);
  EXPECT_EQ(portal->host, "storage.example.org");
  EXPECT_EQ(portal->port, 3260);
  EXPECT_TRUE(portal->target.empty());
  EXPECT_EQ(parse_url("iscsi://storage.example.org/").value(), *portal);
  EXPECT_EQ(parse_url("iscsi://bob@h/iqn.a.b/0")->user, "bob");
  EXPECT_EQ(parse_url("iscsi://bob@h/iqn.a.b/0")->password, "");
}

TEST(Url, ReadsIpv6InBrackets) {
  const auto url = parse_url("iscsi://[2001:db8::1]:3261/iqn.a.b/1");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->host, "2001:db8::1");
  EXPECT_EQ(url->port, 3261);
  EXPECT_EQ(parse_url("iscsi://[fe80::1%eth0]")->host, "fe80::1%eth0");
}

TEST(Url, DecodesTheTargetOnly) {
  EXPECT_EQ(parse_url("iscsi://h/iqn.ronnie.test%3A1234/0")->target, "iqn.ronnie.test:1234");
  EXPECT_EQ(parse_url("iscsi://u%p@ss@h/IQN.a.B/0")->password, "p@ss");
  EXPECT_EQ(parse_url("iscsi://u%p@ss@h/IQN.a.B/0")->target, "iqn.a.b");
}

TEST(Url, RefusesWhatIsNone) {
  for (const char* text : {"",
                           "http://h/iqn.a.b/0",
                           "iscsi://",
                           "iscsi:///iqn.a.b/0",
                           "iscsi://h:0",
                           "iscsi://h:65536",
                           "iscsi://h:",
                           "iscsi://h:12x",
                           "iscsi://[::1",
                           "iscsi://[::1]x",
                           "iscsi://[name]",
                           "iscsi://[]",
                           "iscsi://[::1%]",
                           "iscsi://[::g]",
                           "iscsi://h?x=1",
                           "iscsi://a b",
                           "iscsi://[::1]:",
                           "iscsi://::1/iqn.a.b/0",
                           "iscsi://@h",
                           "iscsi://h/iqn.a.b",
                           "iscsi://h/iqn.a.b/",
                           "iscsi://h/iqn.a.b/x",
                           "iscsi://h/iqn.a.b/-1",
                           "iscsi://h/iqn.a.b/0/1",
                           "iscsi://h/disk/0",
                           "iscsi://h/iqn.a%3/0",
                           "iscsi://h/iqn.a%zz/0",
                           "iscsi://h/iqn.a.b%00/0",
                           "iscsi://h/iqn.a.b/4294967296",
                           "iscsi://h/iqn.a.b/0?=1"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

TEST(Url, NeverShowsThePassword) {
  const auto url =
      parse_url("iscsi://alice%geheim@[::1]/iqn.a.b/3?target_user=t&target_password=geheim&header_digest=crc32c");
  ASSERT_TRUE(url);
  EXPECT_EQ(to_string(*url), "iscsi://alice@[::1]/iqn.a.b/3?target_user=t&header_digest=crc32c");
  EXPECT_EQ(to_string(*parse_url("iscsi://u%geheim@h:3261")), "iscsi://u@h:3261");
  for (const char* text :
       {"iscsi://alice%geheim@h:99999/iqn.a.b/0", "iscsi://alice%ge/heim@h/iqn.a.b/0", "iscsi://alice%geheim/iqn.a.b/0",
        "iscsi://alice%geheim@h/disk/0", "iscsi:/alice%geheim@h"}) {
    const auto bad = parse_url(text);
    ASSERT_FALSE(bad) << text;
    EXPECT_EQ(bad.error().message.find("heim"), std::string::npos) << bad.error().message;
  }
}

TEST(Url, ReadsWhatItShows) {
  for (const char* text :
       {"iscsi://h", "iscsi://u@h:1/iqn.a.b:c/4294967295?a=b&c=", "iscsi://[::1]:3261/eui.0123456789abcdef/0"}) {
    const auto url = parse_url(text);
    ASSERT_TRUE(url) << text;
    EXPECT_EQ(to_string(*url), text);
    EXPECT_EQ(parse_url(to_string(*url)).value(), *url);
  }
}

}  // namespace
}  // namespace peerlane::iscsi
