#include "admin/peer_keys.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/config.h"
#include "base/limits.h"

namespace peerlane::admin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kTarget = "[[target]]\nname = \"iqn.2026-11.com.example:a\"\nlun = [{ disk = \"ram:1G\" }]\n";

/// What a file with one good target and `more` after it says; secrets are there without files.
Configuration parse(std::string_view more) {
  ConfigurationContext context;
  context.secrets = {
      [](const std::string& path) -> Result<SecretFile> { return SecretFile{"secret of " + path, false}; },
      [](const std::string&) -> std::optional<std::string> { return std::nullopt; }};
  context.check_disks = false;
  return parse_configuration(kTarget + std::string(more), context);
}

std::vector<std::string> findings(std::string_view more) {
  std::vector<std::string> lines;
  for (const Finding& finding : parse(more).findings) lines.push_back(to_line("f", finding).substr(2));
  return lines;
}

TEST(PeerKeys, WithoutAnyNothingIsAllowed) {
  const Configuration configuration = parse("");
  EXPECT_THAT(configuration.declaration.peers, IsEmpty());
  EXPECT_EQ(configuration.declaration.p2p, pcie::Policy::kSameSwitch);
}

TEST(PeerKeys, TheLeastIsReadOnlyAndForEveryone) {
  const Configuration configuration =
      parse("[[peer]]\ntarget = \"IQN.2026-11.com.example:B\"\nportal = \"storage.example.com\"\n");
  EXPECT_THAT(configuration.findings, IsEmpty());
  ASSERT_THAT(configuration.declaration.peers, SizeIs(1));
  const target::PeerDeclaration& peer = configuration.declaration.peers[0];
  EXPECT_EQ(peer.target, "iqn.2026-11.com.example:b");
  EXPECT_EQ(peer.host, "storage.example.com");
  EXPECT_EQ(peer.port, 3260);
  EXPECT_FALSE(peer.writable);
  EXPECT_FALSE(peer.account);
  EXPECT_THAT(peer.initiators, IsEmpty());
  EXPECT_THAT(peer.targets, IsEmpty());
  EXPECT_THAT(peer.shared_disks, IsEmpty());
}

TEST(PeerKeys, EveryKeyArrives) {
  const Configuration configuration = parse(R"([service]
p2p = "kernel"
[[peer]]
target = "iqn.2026-11.com.example:b"
portal = "[2001:db8::8]:3261"
initiator_name = "iqn.2026-11.com.example:Us"
targets = ["iqn.2026-11.com.example:a"]
initiators = ["iqn.2026-11.com.example:client", "iqn.x:*"]
writable = true
shared_disks = ["EUI.0025385b71b0a1c2", "naa.5000c500*"]
[peer.chap]
account = { name = "us", secret_file = "/us" }
mutual = { name = "them", secret_file = "/them" }
)");
  EXPECT_THAT(configuration.findings, IsEmpty());
  EXPECT_EQ(configuration.declaration.p2p, pcie::Policy::kKernel);
  ASSERT_THAT(configuration.declaration.peers, SizeIs(1));
  const target::PeerDeclaration& peer = configuration.declaration.peers[0];
  EXPECT_EQ(peer.host, "2001:db8::8");
  EXPECT_EQ(peer.port, 3261);
  EXPECT_EQ(peer.initiator_name, "iqn.2026-11.com.example:us");
  EXPECT_THAT(peer.targets, ElementsAre("iqn.2026-11.com.example:a"));
  EXPECT_THAT(peer.initiators, ElementsAre("iqn.2026-11.com.example:client", "iqn.x:*"));
  EXPECT_TRUE(peer.writable);
  EXPECT_THAT(peer.shared_disks, ElementsAre("eui.0025385b71b0a1c2", "naa.5000c500*"));
  ASSERT_TRUE(peer.account);
  EXPECT_EQ(peer.account->name, "us");
  EXPECT_EQ(peer.account->secret, "secret of /us");
  ASSERT_TRUE(peer.mutual);
  EXPECT_EQ(peer.mutual->secret, "secret of /them");
}

TEST(PeerKeys, WhatIsMissing) {
  EXPECT_THAT(findings("[[peer]]\n[peer.chap]\n"),
              ElementsAre(HasSubstr("a peer has no portal"), HasSubstr("a peer has no target"),
                          HasSubstr("[peer.chap] has no account")));
}

TEST(PeerKeys, WhatIsWrong) {
  EXPECT_THAT(findings(R"([[peer]]
target = "b"
portal = "192.0.2.8:0"
initiator_name = "us"
targets = ["iqn.2026-11.com.example:c"]
initiators = ["client"]
pull = true
)"),
              ElementsAre(HasSubstr("5:10: error"), HasSubstr("6:10: error: \"192.0.2.8:0\" is no address"),
                          HasSubstr("7:18: error"), HasSubstr("8:12: error: there is no target"),
                          HasSubstr("9:15: error"), HasSubstr("10:1: error: [[peer]] has no key \"pull\"")));
}

TEST(PeerKeys, WhatIsNoSharedDisk) {
  EXPECT_THAT(findings("[[peer]]\ntarget = \"iqn.2026-11.com.example:b\"\nportal = \"192.0.2.8\"\n"
                       "shared_disks = [\"*\", \"\", \"/dev/nvme0n1\", \"nvme.1b36-41-42-00000001\", \"eui.*1*\"]\n"),
              ElementsAre(HasSubstr("7:22: error: \"\" is no identity"), HasSubstr("7:26: error: \"/dev/nvme0n1\""),
                          HasSubstr("7:42: error"), HasSubstr("7:70: error")));
}

TEST(PeerKeys, APortalGroupIsNoPartOfThePortal) {
  EXPECT_THAT(findings("[[peer]]\ntarget = \"iqn.2026-11.com.example:b\"\nportal = \"192.0.2.8:3260,1\"\n"),
              ElementsAre(HasSubstr("is no address or host name")));
}

TEST(PeerKeys, ATargetIsListedOnce) {
  const std::string peer = "[[peer]]\ntarget = \"iqn.2026-11.com.example:b\"\nportal = \"192.0.2.8\"\n";
  EXPECT_THAT(findings(peer + peer),
              ElementsAre(HasSubstr("8:10: error: iqn.2026-11.com.example:b is a peer already")));
}

TEST(PeerKeys, TheTwoDirectionsHaveTheirOwnSecrets) {
  EXPECT_THAT(findings(R"([[peer]]
target = "iqn.2026-11.com.example:b"
portal = "192.0.2.8"
[peer.chap]
account = { name = "us", secret_file = "/one" }
mutual = { name = "them", secret_file = "/one" }
)"),
              ElementsAre(HasSubstr("9:10: error: both directions have the same secret")));
}

TEST(PeerKeys, ThereIsALimit) {
  std::string peers;
  for (std::size_t i = 0; i < limits::kPeers + 2; ++i) {
    peers += fmt::format("[[peer]]\ntarget = \"iqn.2026-11.com.example:b{}\"\nportal = \"192.0.2.8\"\n", i);
  }
  EXPECT_THAT(findings(peers), ElementsAre(HasSubstr("there are more than 64 peers")));
}

}  // namespace
}  // namespace peerlane::admin
