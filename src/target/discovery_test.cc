#include "target/discovery.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"

namespace peerlane::target {
namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

const std::vector<VisibleTarget> kVisible{
    {"iqn.2004-10.org.example:a", {{"192.0.2.1", 3260, 1}, {"2001:db8::1", 3261, 2}}},
    {"iqn.2004-10.org.example:b", {{"192.0.2.1", 3260, 1}}},
};

Pairs pairs_of(iscsi::TextWriter& writer) {
  Pairs out;
  const auto parsed = iscsi::parse_text(writer.next_segment(limits::kSendTargetsBytes));
  for (const auto& pair : parsed.value_or(std::vector<iscsi::KeyValue>{})) out.emplace_back(pair.key, pair.value);
  return out;
}

Pairs ask(std::string_view value, std::string_view own = {}) {
  iscsi::TextWriter writer;
  EXPECT_TRUE(answer_send_targets(value, own, kVisible, writer));
  return pairs_of(writer);
}

const Pairs kA{{"TargetName", "iqn.2004-10.org.example:a"},
               {"TargetAddress", "192.0.2.1:3260,1"},
               {"TargetAddress", "[2001:db8::1]:3261,2"}};
const Pairs kB{{"TargetName", "iqn.2004-10.org.example:b"}, {"TargetAddress", "192.0.2.1:3260,1"}};
const Pairs kRejected{{"SendTargets", "Reject"}};

TEST(SendTargets, AllInADiscoverySession) {
  Pairs all = kA;
  all.insert(all.end(), kB.begin(), kB.end());
  EXPECT_EQ(ask("All"), all);
}

TEST(SendTargets, OneInADiscoverySession) {
  EXPECT_EQ(ask("iqn.2004-10.org.example:b"), kB);
  EXPECT_EQ(ask("IQN.2004-10.org.example:A"), kA);
  EXPECT_EQ(ask("iqn.2004-10.org.example:none"), Pairs{});
}

TEST(SendTargets, WhatADiscoverySessionMayNotAsk) {
  EXPECT_EQ(ask(""), kRejected);
  EXPECT_EQ(ask("all"), kRejected) << "neither All nor a name";
}

TEST(SendTargets, ANormalSessionSeesItsOwnTargetOnly) {
  EXPECT_EQ(ask("", "iqn.2004-10.org.example:a"), kA);
  EXPECT_EQ(ask("iqn.2004-10.org.example:a", "iqn.2004-10.org.example:a"), kA);
  EXPECT_EQ(ask("iqn.2004-10.org.example:b", "iqn.2004-10.org.example:a"), kRejected);
  EXPECT_EQ(ask("All", "iqn.2004-10.org.example:a"), kRejected);
}

TEST(SendTargets, LeavesOutWholeTargetsPastTheLimit) {
  std::vector<VisibleTarget> many;
  for (int i = 0; i < 20000; ++i) {
    many.push_back({"iqn.2004-10.org.example:target-" + std::to_string(i), {{"192.0.2.1", 3260, 1}}});
  }
  iscsi::TextWriter writer;
  EXPECT_FALSE(answer_send_targets("All", {}, many, writer));
  EXPECT_LE(writer.size(), limits::kSendTargetsBytes);
  EXPECT_GT(writer.size(), limits::kSendTargetsBytes - 200);
  std::string text(as_text(writer.next_segment(limits::kSendTargetsBytes)));
  EXPECT_TRUE(text.ends_with(std::string_view("TargetAddress=192.0.2.1:3260,1\0", 31)));
}

TEST(FullFeatureText, SendTargetsBesideOtherKeys) {
  iscsi::Negotiator negotiator({});
  iscsi::TextWriter writer;
  ASSERT_TRUE(answer_text(std::vector<iscsi::KeyValue>{{"MaxRecvDataSegmentLength", "4096"},
                                                       {"SendTargets", "iqn.2004-10.org.example:b"},
                                                       {"HeaderDigest", "CRC32C"},
                                                       {"X-org.example.key", "1"}},
                          negotiator, {}, kVisible, writer));
  Pairs expected = kB;
  expected.emplace_back("HeaderDigest", "Reject");
  expected.emplace_back("X-org.example.key", "NotUnderstood");
  EXPECT_EQ(pairs_of(writer), expected);
  EXPECT_EQ(negotiator.parameters().peer_max_recv_data_segment_length, 4096u);
}

TEST(FullFeatureText, SendTargetsTwiceIsAnError) {
  iscsi::Negotiator negotiator({});
  iscsi::TextWriter writer;
  EXPECT_EQ(answer_text(std::vector<iscsi::KeyValue>{{"SendTargets", "All"}, {"SendTargets", "All"}}, negotiator, {},
                        kVisible, writer)
                .error()
                .code,
            EPROTO);
}

}  // namespace
}  // namespace peerlane::target
