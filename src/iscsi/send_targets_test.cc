#include "iscsi/send_targets.h"

#include <gtest/gtest.h>

namespace peerlane::iscsi {
namespace {

using Pairs = std::vector<KeyValue>;

TEST(TargetAddressTest, AllForms) {
  EXPECT_EQ(parse_target_address("10.0.0.1:3261,2"), (TargetAddress{"10.0.0.1", 3261, 2}));
  EXPECT_EQ(parse_target_address("10.0.0.1"), (TargetAddress{"10.0.0.1", 3260, std::nullopt}));
  EXPECT_EQ(parse_target_address("[2001:db8::1]:3260,1"), (TargetAddress{"2001:db8::1", 3260, 1}));
  EXPECT_EQ(parse_target_address("[fe80::1%eth0]"), (TargetAddress{"fe80::1%eth0", 3260, std::nullopt}));
  EXPECT_EQ(parse_target_address("2001:db8::1,1"), (TargetAddress{"2001:db8::1", 3260, 1}));  // brackets forgotten
  EXPECT_EQ(parse_target_address("disk.example.org:860,65535"), (TargetAddress{"disk.example.org", 860, 65535}));
}

TEST(TargetAddressTest, WhatIsNone) {
  for (const char* const text : {"", ",1", ":3260", "host:", "host:0", "host:65536", "host:3260,65536", "host:x",
                                 "[::1", "[]:3260", "[::1]3260", "ho st", "host/path", "host:3260,", "a\nb:1"}) {
    EXPECT_FALSE(parse_target_address(text)) << text;
  }
}

TEST(TargetAddressTest, ForPeople) {
  EXPECT_EQ(to_string(TargetAddress{"::1", 3260, 1}), "[::1]:3260");
  EXPECT_EQ(to_string(TargetAddress{"host", 860, 1}), "host:860");
}

TEST(ParseTargetsTest, NamesWithTheirAddresses) {
  const Pairs pairs{{"TargetName", "iqn.2026-11.Org.Example:a"},
                    {"TargetAddress", "10.0.0.1:3260,1"},
                    {"TargetAddress", "[::1]:3261,2"},
                    {"X-other", "?"},
                    {"TargetName", "iqn.2026-11.org.example:b"}};
  const auto targets = parse_targets(pairs);
  ASSERT_TRUE(targets);
  ASSERT_EQ(targets->size(), 2u);
  EXPECT_EQ((*targets)[0].name, "iqn.2026-11.org.example:a");
  EXPECT_EQ((*targets)[0].addresses, (std::vector<TargetAddress>{{"10.0.0.1", 3260, 1}, {"::1", 3261, 2}}));
  EXPECT_TRUE((*targets)[1].addresses.empty());
  EXPECT_TRUE(parse_targets({})->empty());
}

TEST(ParseTargetsTest, WrongAnswers) {
  EXPECT_FALSE(parse_targets(Pairs{{"TargetAddress", "10.0.0.1:3260,1"}}));
  EXPECT_FALSE(parse_targets(Pairs{{"TargetName", "no name"}}));
  EXPECT_FALSE(parse_targets(Pairs{{"TargetName", "iqn.2026-11.org.example:a"}, {"TargetAddress", "a b"}}));
}

}  // namespace
}  // namespace peerlane::iscsi
