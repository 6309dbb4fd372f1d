#include "target/login_security.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "target/testing/login_fixture.h"

namespace peerlane::target::testing {
namespace {

using iscsi::LoginStatus;

class LoginSecurityTest : public LoginTest {};

TEST_F(LoginSecurityTest, Chap) {
  demand_chap();
  Reply reply = send(kSecurity, kOperational, names({"AuthMethod=CHAP,None"}));
  EXPECT_EQ(reply.next, Login::Next::kReceive);
  EXPECT_FALSE(reply.header.transit) << "not before authentication";
  EXPECT_EQ(answers_["AuthMethod"], "CHAP");
  reply = send(kSecurity, std::nullopt, {"CHAP_A=5,7"});
  EXPECT_EQ(answers_["CHAP_A"], "7");
  reply = send(kSecurity, kOperational, response("alice", "alicesecret123"));
  EXPECT_TRUE(reply.header.transit) << login_.failure().why;
  reply = send(kOperational, kFullFeature, {});
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
  EXPECT_EQ(login_.outcome().user, "alice");
}

TEST_F(LoginSecurityTest, ChapWithAlgorithmsInTheFirstRequest) {
  demand_chap();
  send(kSecurity, std::nullopt, names({"AuthMethod=CHAP", "CHAP_A=5"}));
  EXPECT_EQ(answers_["AuthMethod"], "CHAP");
  EXPECT_EQ(answers_["CHAP_A"], "5");
  EXPECT_EQ(send(kSecurity, kFullFeature, response("alice", "alicesecret123")).next, Login::Next::kFullFeature);
}

TEST_F(LoginSecurityTest, MutualChap) {
  demand_chap();
  policy_.rules.mutual = ChapAccount{"target1", "targetsecret45"};
  send(kSecurity, kOperational, names({"AuthMethod=CHAP"}));
  send(kSecurity, std::nullopt, {"CHAP_A=5"});
  auto keys = response("alice", "alicesecret123");
  keys.push_back("CHAP_I=1");
  keys.push_back("CHAP_C=0xC211B261C01DE2B6334D24D5210C07B58E1EB5BE50F7A671279C5EA0BC831F7E");
  const Reply reply = send(kSecurity, kOperational, keys);
  EXPECT_TRUE(reply.header.transit);
  EXPECT_EQ(answers_["CHAP_N"], "target1");
  EXPECT_EQ(answers_["CHAP_R"], "0xdd6b958c4ade61140248576df843bc68") << "as tgt answered the same challenge";
}

TEST_F(LoginSecurityTest, WrongSecretIsAnAuthenticationFailure) {
  demand_chap();
  send(kSecurity, kOperational, names({"AuthMethod=CHAP"}));
  send(kSecurity, std::nullopt, {"CHAP_A=5"});
  expect_refused(send(kSecurity, kOperational, response("alice", "wrongsecret123")),
                 LoginStatus::kAuthenticationFailure);
  EXPECT_THAT(login_.failure().why, ::testing::HasSubstr("alice"));
  EXPECT_THAT(login_.failure().why, ::testing::HasSubstr(std::string(kInitiator)));
  EXPECT_THAT(login_.failure().why, ::testing::HasSubstr(std::string(kTarget)));
}

TEST_F(LoginSecurityTest, ItsOwnChallengeIsAnAuthenticationFailure) {
  demand_chap();
  policy_.rules.mutual = ChapAccount{"target1", "targetsecret45"};
  send(kSecurity, kOperational, names({"AuthMethod=CHAP"}));
  send(kSecurity, std::nullopt, {"CHAP_A=5"});
  auto keys = response("alice", "alicesecret123");
  keys.push_back("CHAP_I=" + answers_["CHAP_I"]);
  keys.push_back("CHAP_C=" + answers_["CHAP_C"]);
  expect_refused(send(kSecurity, kOperational, keys), LoginStatus::kAuthenticationFailure);
  EXPECT_EQ(answers_.count("CHAP_R"), 0u);
}

TEST_F(LoginSecurityTest, SkippingAuthenticationThatIsDemanded) {
  demand_chap();
  expect_refused(send(kOperational, kFullFeature, names()), LoginStatus::kAuthenticationFailure);
}

TEST_F(LoginSecurityTest, LeavingTheSecurityStageWithoutAMethod) {
  demand_chap();
  expect_refused(send(kSecurity, kOperational, names()), LoginStatus::kAuthenticationFailure);
}

TEST_F(LoginSecurityTest, OfferingNoneWhereChapIsDemanded) {
  demand_chap();
  expect_refused(send(kSecurity, kOperational, names({"AuthMethod=None"})), LoginStatus::kAuthenticationFailure);
  EXPECT_THAT(login_.failure().why, ::testing::HasSubstr("CHAP is demanded"));
}

TEST_F(LoginSecurityTest, OfferingOnlyChapWhereThereAreNoAccounts) {
  expect_refused(send(kSecurity, kOperational, names({"AuthMethod=CHAP"})), LoginStatus::kAuthenticationFailure);
  EXPECT_THAT(login_.failure().why, ::testing::HasSubstr("no CHAP account"));
}

TEST_F(LoginSecurityTest, TheFirstAcceptableMethodIsTaken) {
  policy_.rules.accounts = {{"alice", "alicesecret123"}};
  send(kSecurity, std::nullopt, names({"AuthMethod=KRB5,None,CHAP"}));
  EXPECT_EQ(answers_["AuthMethod"], "None");
}

TEST_F(LoginSecurityTest, AskingForTheNextStageDoesNotEndChap) {
  demand_chap();
  send(kSecurity, kOperational, names({"AuthMethod=CHAP"}));
  send(kSecurity, kOperational, {"CHAP_A=5"});
  for (int i = 0; i < 3; ++i) {
    const Reply reply = send(kSecurity, kFullFeature, {});
    EXPECT_EQ(reply.next, Login::Next::kReceive);
    EXPECT_FALSE(reply.header.transit);
  }
  EXPECT_EQ(policy_.opened, 0);
  expect_refused(send(kOperational, kFullFeature, {}), LoginStatus::kInitiatorError);
}

TEST_F(LoginSecurityTest, SecurityKeysOutOfPlace) {
  send(kSecurity, std::nullopt, names({"AuthMethod=None"}));
  expect_refused(send(kSecurity, std::nullopt, {"CHAP_A=5"}), LoginStatus::kInitiatorError);
}

TEST_F(LoginSecurityTest, SecurityKeysInTheOperationalStageAreRejected) {
  const Reply reply = send(kOperational, kFullFeature, names({"AuthMethod=None"}));
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
  EXPECT_EQ(answers_["AuthMethod"], "Reject");
}

TEST_F(LoginSecurityTest, AuthMethodTwice) {
  send(kSecurity, std::nullopt, names({"AuthMethod=None"}));
  expect_refused(send(kSecurity, std::nullopt, {"AuthMethod=None"}), LoginStatus::kInitiatorError);
}

// Whoever has not proved who it is must not be able to end another's session.
TEST_F(LoginSecurityTest, NoSessionIsTouchedBeforeAuthentication) {
  demand_chap();
  policy_.existing = ExistingSession{9, true};
  send(kSecurity, kOperational, names({"AuthMethod=CHAP"}));
  send(kSecurity, std::nullopt, {"CHAP_A=5"});
  expect_refused(send(kSecurity, kFullFeature, response("alice", "wrongsecret123")),
                 LoginStatus::kAuthenticationFailure);
}

}  // namespace
}  // namespace peerlane::target::testing
