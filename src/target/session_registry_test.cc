// Who takes whose place, when logins of the same session cross.
#include "target/session_registry.h"

#include <gtest/gtest.h>

#include "io/reactor.h"
#include "target/target_node.h"

namespace peerlane::target {
namespace {

class SessionRegistryTest : public ::testing::Test {
 protected:
  SessionRegistryTest() : reactor(std::move(*io::Reactor::create())) { key.target = node.name(); }

  std::shared_ptr<Session> session(const SessionRegistry::Place& place) {
    SessionIdentity identity;
    identity.initiator = key.initiator;
    identity.tsih = place.tsih;
    identity.target = &node;
    return std::make_shared<Session>(*reactor, reactor->buffers(), identity, iscsi::CmdSn(1), nullptr);
  }
  static TargetDeclaration declaration() {
    TargetDeclaration declared;
    declared.name = "iqn.2026-11.test:target";
    return declared;
  }

  std::unique_ptr<io::Reactor> reactor;
  TargetNode node{declaration()};
  SessionKey key{.initiator = "iqn.2026-11.test:initiator", .isid = {0x80}, .target = {}, .portal_group = 1};
  SessionRegistry registry;
};

TEST_F(SessionRegistryTest, AThirdLoginWaitsForTheFirstSessionToo) {
  const auto first = registry.open(key, 0, false);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->replaced, nullptr);
  const auto old = session(*first);
  ASSERT_TRUE(registry.attach(first->ticket, old));

  const auto second = registry.open(key, 0, false);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->replaced, old);
  // The second is still ending it when the third comes.
  EXPECT_EQ(registry.sessions_of(node), std::vector{old}) << "a reset has to reach its tasks";
  const auto third = registry.open(key, 0, false);
  ASSERT_TRUE(third);
  EXPECT_EQ(third->replaced, old);

  EXPECT_FALSE(registry.attach(second->ticket, session(*second)));
  const auto fresh = session(*third);
  ASSERT_TRUE(registry.attach(third->ticket, fresh));
  EXPECT_EQ(registry.sessions_of(node), std::vector{fresh});
  registry.close(second->ticket);
  EXPECT_TRUE(registry.find(key));
  registry.close(third->ticket);
  EXPECT_FALSE(registry.find(key));
}

}  // namespace
}  // namespace peerlane::target
