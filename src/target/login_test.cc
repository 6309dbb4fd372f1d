#include "target/login.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "target/testing/login_fixture.h"

namespace peerlane::target::testing {
namespace {

using iscsi::LoginStatus;
using iscsi::Stage;
using namespace std::string_literals;
using namespace std::string_view_literals;

// --- The ways through the stages ---

TEST_F(LoginTest, OneRequestInTheOperationalStage) {
  policy_.alias = "Fast disk";
  const Reply reply = send(kOperational, kFullFeature, names({"InitiatorAlias=My host", "HeaderDigest=CRC32C,None"}));
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
  EXPECT_TRUE(reply.header.transit);
  EXPECT_EQ(reply.header.current_stage, kOperational);
  EXPECT_EQ(reply.header.next_stage, kFullFeature);
  EXPECT_EQ(reply.header.status, LoginStatus::kSuccess);
  EXPECT_EQ(reply.header.tsih, 0x1234);
  EXPECT_EQ(reply.header.isid, base_.isid);
  EXPECT_EQ(reply.header.initiator_task_tag, 77u);
  EXPECT_EQ(reply.header.stat_sn, iscsi::StatSn(0xffffffff));
  EXPECT_EQ(reply.header.exp_cmd_sn, iscsi::CmdSn(1000)) << "login requests are immediate";
  EXPECT_EQ(reply.header.max_cmd_sn, iscsi::CmdSn(1000 + limits::kCommandWindow - 1));
  EXPECT_THAT(answers_, ::testing::ElementsAre(::testing::Pair("HeaderDigest", "CRC32C"),
                                               ::testing::Pair("MaxRecvDataSegmentLength", "262144"),
                                               ::testing::Pair("TargetAlias", "Fast disk"),
                                               ::testing::Pair("TargetPortalGroupTag", "3")));

  const LoginOutcome& outcome = login_.outcome();
  EXPECT_EQ(outcome.kind, LoginKind::kNewSession);
  EXPECT_EQ(outcome.session_type, SessionType::kNormal);
  EXPECT_EQ(outcome.initiator, kInitiator);
  EXPECT_EQ(outcome.initiator_alias, "My host");
  EXPECT_EQ(outcome.target, kTarget);
  EXPECT_EQ(outcome.user, "");
  EXPECT_EQ(outcome.cid, 1);
  EXPECT_EQ(outcome.portal_group_tag, 3);
  EXPECT_EQ(outcome.stat_sn, iscsi::StatSn(0)) << "one after the last response, around the wrap";
  EXPECT_TRUE(outcome.parameters.header_digest);
  EXPECT_EQ(outcome.parameters.our_max_recv_data_segment_length, limits::kMaxRecvDataSegmentLength);
}

// The bytes of qemu-img (libiscsi 1.19), which counts its padding in DataSegmentLength.
TEST_F(LoginTest, LoginOfQemu) {
  const std::string data =
      "InitiatorName=iqn.2008-11.org.linux-kvm\0TargetName=iqn.2004-10.org.example:disk\0SessionType=Normal\0"
      "HeaderDigest=None,CRC32C\0DataDigest=None\0InitialR2T=No\0ImmediateData=Yes\0MaxBurstLength=262144\0"
      "FirstBurstLength=262144\0DefaultTime2Wait=2\0DefaultTime2Retain=0\0MaxOutstandingR2T=1\0ErrorRecoveryLevel=0\0"
      "IFMarker=No\0OFMarker=No\0MaxConnections=1\0MaxRecvDataSegmentLength=262144\0DataPDUInOrder=Yes\0"
      "DataSequenceInOrder=Yes\0\0\0\0"s;
  const Reply reply = send_raw(request(kOperational, kFullFeature), data);
  ASSERT_EQ(reply.next, Login::Next::kFullFeature) << login_.failure().why;
  EXPECT_EQ(answers_["InitialR2T"], "No");
  EXPECT_EQ(answers_["MaxBurstLength"], "262144");
  EXPECT_EQ(login_.outcome().initiator, "iqn.2008-11.org.linux-kvm");
  EXPECT_EQ(login_.outcome().parameters.peer_max_recv_data_segment_length, 262144u);
}

// open-iscsi without CHAP: AuthMethod=None, then the operational stage.
TEST_F(LoginTest, SecurityStageWithoutAuthentication) {
  Reply reply = send(kSecurity, kOperational, names({"AuthMethod=None"}));
  EXPECT_EQ(reply.next, Login::Next::kReceive);
  EXPECT_TRUE(reply.header.transit);
  EXPECT_EQ(reply.header.next_stage, kOperational);
  EXPECT_EQ(reply.header.tsih, 0) << "only the final response has it";
  EXPECT_THAT(answers_, ::testing::ElementsAre(::testing::Pair("AuthMethod", "None"),
                                               ::testing::Pair("TargetPortalGroupTag", "3")));
  reply = send(kOperational, kFullFeature, {"HeaderDigest=None"});
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
  EXPECT_EQ(reply.header.stat_sn, iscsi::StatSn(0));
  EXPECT_EQ(answers_.count("TargetPortalGroupTag"), 0u) << "said already";
  EXPECT_EQ(answers_["MaxRecvDataSegmentLength"], "262144");
}

TEST_F(LoginTest, SecurityStageWithNoKeysAtAll) {
  Reply reply = send(kSecurity, kOperational, names());
  EXPECT_TRUE(reply.header.transit);
  reply = send(kOperational, kFullFeature, {});
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
}

TEST_F(LoginTest, StraightFromSecurityToFullFeature) {
  const Reply reply =
      send(kSecurity, kFullFeature, names({"AuthMethod=None", "HeaderDigest=CRC32C", "MaxBurstLength=65536"}));
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
  EXPECT_EQ(answers_["HeaderDigest"], "CRC32C") << "operational keys in the security stage are answered";
  EXPECT_EQ(answers_["MaxBurstLength"], "65536");
  EXPECT_EQ(login_.outcome().parameters.our_max_recv_data_segment_length, 8192u) << "nothing was declared";
}

TEST_F(LoginTest, OperationalStageInSeveralRequests) {
  Reply reply = send(kOperational, std::nullopt, names({"HeaderDigest=None"}));
  EXPECT_EQ(reply.next, Login::Next::kReceive);
  EXPECT_FALSE(reply.header.transit);
  EXPECT_EQ(answers_["MaxRecvDataSegmentLength"], "262144");
  reply = send(kOperational, std::nullopt, {"DataDigest=CRC32C"});
  EXPECT_EQ(reply.next, Login::Next::kReceive);
  EXPECT_EQ(answers_.count("MaxRecvDataSegmentLength"), 0u) << "declared once";
  reply = send(kOperational, kFullFeature, {});
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
  EXPECT_TRUE(login_.outcome().parameters.data_digest);
}

TEST_F(LoginTest, SayingAgainWhoOneIs) {
  send(kSecurity, kOperational, names({"AuthMethod=None"}));
  const Reply reply = send(kOperational, kFullFeature, names());
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
  EXPECT_EQ(policy_.finds, 1);
}

TEST_F(LoginTest, DiscoveryNeedsNoTarget) {
  const Reply reply =
      send(kOperational, kFullFeature,
           {"InitiatorName=" + std::string(kInitiator), "SessionType=Discovery", "MaxBurstLength=262144"});
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
  EXPECT_EQ(login_.outcome().session_type, SessionType::kDiscovery);
  EXPECT_EQ(login_.outcome().target, "");
  EXPECT_EQ(answers_["MaxBurstLength"], "Irrelevant");
  EXPECT_EQ(answers_.count("TargetPortalGroupTag"), 0u);
}

TEST_F(LoginTest, NamesAreComparedInLowerCase) {
  send(kOperational, kFullFeature,
       {"InitiatorName=IQN.2004-10.ORG.Example:Host", "TargetName=iqn.2004-10.org.EXAMPLE:disk"});
  EXPECT_EQ(policy_.asked_initiator, kInitiator);
  EXPECT_EQ(policy_.asked_target, kTarget);
}

// --- Texts over several PDUs ---

TEST_F(LoginTest, TextOverSeveralRequests) {
  const std::string whole = text(names({"HeaderDigest=CRC32C"}));
  iscsi::LoginRequest part = request(kOperational, std::nullopt);
  part.continues = true;
  for (std::size_t i = 0; i + 40 < whole.size(); i += 40) {
    const Reply reply = send_raw(part, std::string_view(whole).substr(i, 40));
    EXPECT_EQ(reply.next, Login::Next::kReceive);
    EXPECT_TRUE(reply.send);
    EXPECT_TRUE(reply.data.empty());
    EXPECT_FALSE(reply.header.transit || reply.header.continues);
    EXPECT_EQ(policy_.finds, 0) << "before the text is whole nothing is acted on";
  }
  const Reply reply =
      send_raw(request(kOperational, kFullFeature), std::string_view(whole).substr((whole.size() - 1) / 40 * 40));
  EXPECT_EQ(reply.next, Login::Next::kFullFeature) << login_.failure().why;
  EXPECT_EQ(answers_["HeaderDigest"], "CRC32C");
}

TEST_F(LoginTest, AnswerOverSeveralResponses) {
  std::vector<std::string> keys = names({"MaxRecvDataSegmentLength=512"});
  for (int i = 0; i < 60; ++i) keys.push_back("X-org.example.key" + std::to_string(i) + "=1");
  Reply reply = send(kOperational, kFullFeature, keys);
  std::string all;
  int responses = 1;
  while (reply.header.continues) {
    EXPECT_EQ(reply.next, Login::Next::kReceive);
    EXPECT_FALSE(reply.header.transit);
    EXPECT_EQ(reply.data.size(), 512u);
    EXPECT_EQ(policy_.opened, 0);
    all += answer_text_;
    reply = send(kOperational, kFullFeature, {});
    ++responses;
  }
  all += answer_text_;
  EXPECT_GT(responses, 3);
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
  EXPECT_TRUE(reply.header.transit);
  const auto pairs = iscsi::parse_text(as_bytes(all));
  ASSERT_TRUE(pairs);
  EXPECT_EQ(pairs->size(), 60u + 2u);
}

TEST_F(LoginTest, TextBeforeTheWholeAnswerIsRefused) {
  std::vector<std::string> keys = names({"MaxRecvDataSegmentLength=512"});
  for (int i = 0; i < 60; ++i) keys.push_back("X-org.example.key" + std::to_string(i) + "=1");
  ASSERT_TRUE(send(kOperational, kFullFeature, keys).header.continues);
  expect_refused(send(kOperational, kFullFeature, {"HeaderDigest=None"}), LoginStatus::kInitiatorError);
}

// --- Limits ---

TEST_F(LoginTest, EndsAfterTooManyRequests) {
  Reply reply = send(kOperational, std::nullopt, names());
  unsigned requests = 1;
  while (reply.next == Login::Next::kReceive && requests < 1000) {
    reply = send(kOperational, std::nullopt, {});
    ++requests;
  }
  EXPECT_EQ(requests, limits::kLoginPdus + 1);
  expect_refused(reply, LoginStatus::kInitiatorError);
}

TEST_F(LoginTest, EndsAfterTooMuchText) {
  iscsi::LoginRequest part = request(kOperational, std::nullopt);
  part.continues = true;
  const std::string segment(Login::kMaxSegmentBytes, 'A');
  for (std::size_t bytes = 0; bytes + segment.size() <= limits::kLoginTextBytes; bytes += segment.size()) {
    ASSERT_EQ(send_raw(part, segment).next, Login::Next::kReceive);
  }
  expect_refused(send_raw(part, "A"), LoginStatus::kInitiatorError);
}

TEST_F(LoginTest, RefusesASegmentThatNobodyDeclared) {
  iscsi::LoginRequest part = request(kOperational, std::nullopt);
  part.continues = true;
  expect_refused(send_raw(part, std::string(Login::kMaxSegmentBytes + 1, 'A')), LoginStatus::kInitiatorError);
}

// --- What a login must say ---

TEST_F(LoginTest, MissingInitiatorName) {
  expect_refused(send(kOperational, kFullFeature, {"TargetName=" + std::string(kTarget)}),
                 LoginStatus::kMissingParameter);
}

TEST_F(LoginTest, EmptyFirstText) {
  expect_refused(send(kSecurity, kOperational, {}), LoginStatus::kMissingParameter);
}

TEST_F(LoginTest, MissingTargetName) {
  expect_refused(send(kOperational, kFullFeature, {"InitiatorName=" + std::string(kInitiator)}),
                 LoginStatus::kMissingParameter);
}

TEST_F(LoginTest, BadInitiatorName) {
  expect_refused(send(kOperational, kFullFeature, {"InitiatorName=me\x1b", "TargetName=" + std::string(kTarget)}),
                 LoginStatus::kInitiatorError);
  EXPECT_EQ(login_.failure().why.find('\x1b'), std::string::npos);
}

TEST_F(LoginTest, UnknownTarget) {
  expect_refused(
      send(kOperational, kFullFeature, {"InitiatorName=" + std::string(kInitiator), "TargetName=iqn.a.b:no"}),
      LoginStatus::kNotFound);
  EXPECT_THAT(login_.failure().why, ::testing::HasSubstr("0203"));
  EXPECT_THAT(login_.failure().why, ::testing::HasSubstr("iqn.a.b:no"));
}

TEST_F(LoginTest, TargetNameThatIsNone) {
  expect_refused(send(kOperational, kFullFeature, {"InitiatorName=" + std::string(kInitiator), "TargetName=disk"}),
                 LoginStatus::kNotFound);
}

TEST_F(LoginTest, UnknownSessionType) {
  expect_refused(send(kOperational, kFullFeature, {"InitiatorName=" + std::string(kInitiator), "SessionType=Boot"}),
                 LoginStatus::kSessionTypeNotSupported);
}

TEST_F(LoginTest, PolicyRefuses) {
  policy_.refusal = LoginRefusal{LoginStatus::kAuthorizationFailure, "it is not on the access list", {}};
  expect_refused(send(kOperational, kFullFeature, names()), LoginStatus::kAuthorizationFailure);
  EXPECT_TRUE(answer_text_.empty());
}

TEST_F(LoginTest, TargetThatMoved) {
  policy_.refusal = LoginRefusal{LoginStatus::kMovedTemporarily, "it is elsewhere", "192.0.2.7:3260,1"};
  expect_refused(send(kSecurity, kOperational, names({"AuthMethod=None"})), LoginStatus::kMovedTemporarily);
  EXPECT_EQ(answer_text_, "TargetAddress=192.0.2.7:3260,1\0"sv);
}

TEST_F(LoginTest, NamesThatChange) {
  send(kSecurity, kOperational, names({"AuthMethod=None"}));
  expect_refused(send(kOperational, kFullFeature, {"InitiatorName=iqn.2004-10.org.example:other"}),
                 LoginStatus::kInitiatorError);
}

TEST_F(LoginTest, SessionTypeThatChanges) {
  send(kSecurity, kOperational, names({"AuthMethod=None"}));
  expect_refused(send(kOperational, kFullFeature, {"SessionType=Discovery"}), LoginStatus::kInitiatorError);
}

TEST_F(LoginTest, KeyTwiceInOneText) {
  expect_refused(send(kOperational, kFullFeature, names({"HeaderDigest=None", "HeaderDigest=CRC32C"})),
                 LoginStatus::kInitiatorError);
}

TEST_F(LoginTest, KeyTwiceInTheLogin) {
  send(kOperational, std::nullopt, names({"HeaderDigest=None"}));
  expect_refused(send(kOperational, kFullFeature, {"HeaderDigest=CRC32C"}), LoginStatus::kInitiatorError);
}

TEST_F(LoginTest, TextThatIsNone) {
  expect_refused(send_raw(request(kOperational, kFullFeature), "\xff\xfe\xfd"), LoginStatus::kInitiatorError);
}

// --- Headers ---

TEST_F(LoginTest, UnsupportedVersion) {
  base_.version_min = 1;
  base_.version_max = 2;
  expect_refused(send(kOperational, kFullFeature, names()), LoginStatus::kUnsupportedVersion);
}

TEST_F(LoginTest, NewerVersionThatAlsoSpeaksOurs) {
  base_.version_max = 7;
  const Reply reply = send(kOperational, kFullFeature, names());
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
  EXPECT_EQ(reply.header.version_active, 0);
  EXPECT_EQ(reply.header.version_max, 0);
}

TEST_F(LoginTest, StagesThatLeadNowhere) {
  const std::vector<std::pair<Stage, std::optional<Stage>>> bad{
      {static_cast<Stage>(2), std::nullopt}, {kFullFeature, std::nullopt}, {kSecurity, kSecurity},
      {kSecurity, static_cast<Stage>(2)},    {kOperational, kSecurity},    {kOperational, kOperational},
      {kOperational, static_cast<Stage>(2)}};
  for (const auto& [current, next] : bad) {
    Login login(policy_, random_, {"192.0.2.9:40000", "", 1}, {});
    std::array<std::uint8_t, iscsi::kBhsBytes> bhs;
    request(current, next).encode(bhs);
    const Reply reply = login.handle(bhs, as_bytes(text(names())));
    EXPECT_EQ(reply.next, Login::Next::kClose);
    EXPECT_EQ(reply.header.status, LoginStatus::kInitiatorError);
  }
}

TEST_F(LoginTest, StageThatTheLoginIsNotIn) {
  send(kSecurity, kOperational, names({"AuthMethod=None"}));
  expect_refused(send(kSecurity, kOperational, {}), LoginStatus::kInitiatorError);
}

TEST_F(LoginTest, TransitWithContinue) {
  iscsi::LoginRequest both = request(kOperational, kFullFeature);
  both.continues = true;
  expect_refused(send_raw(both, text(names())), LoginStatus::kInitiatorError);
}

TEST_F(LoginTest, IsidThatChanges) {
  send(kSecurity, kOperational, names({"AuthMethod=None"}));
  base_.isid[5] ^= 1;
  expect_refused(send(kOperational, kFullFeature, {}), LoginStatus::kInitiatorError);
}

TEST_F(LoginTest, CidThatChanges) {
  send(kSecurity, kOperational, names({"AuthMethod=None"}));
  base_.cid = 2;
  expect_refused(send(kOperational, kFullFeature, {}), LoginStatus::kInitiatorError);
}

TEST_F(LoginTest, AdditionalHeader) {
  std::array<std::uint8_t, iscsi::kBhsBytes> bhs;
  request(kOperational, kFullFeature).encode(bhs);
  bhs[4] = 1;
  expect_refused(login_.handle(bhs, as_bytes(text(names()))), LoginStatus::kInitiatorError);
}

// libiscsi counts its task tag up during login.
TEST_F(LoginTest, TaskTagMayChange) {
  send(kSecurity, kOperational, names({"AuthMethod=None"}));
  base_.initiator_task_tag = 78;
  const Reply reply = send(kOperational, kFullFeature, {});
  EXPECT_EQ(reply.next, Login::Next::kFullFeature);
  EXPECT_EQ(reply.header.initiator_task_tag, 78u);
}

TEST_F(LoginTest, OtherPduBeforeAnyLoginGetsNoAnswer) {
  std::array<std::uint8_t, iscsi::kBhsBytes> bhs;
  iscsi::NopOut{true, {}, 5, iscsi::kReservedTag, {}, {}, 0}.encode(bhs);
  const Reply reply = login_.handle(bhs, {});
  EXPECT_EQ(reply.next, Login::Next::kClose);
  EXPECT_FALSE(reply.send);
  EXPECT_EQ(login_.failure().status, LoginStatus::kInvalidDuringLogin);
  EXPECT_THAT(login_.failure().why, ::testing::HasSubstr("NOP-Out"));
}

TEST_F(LoginTest, OtherPduDuringLogin) {
  send(kSecurity, kOperational, names({"AuthMethod=None"}));
  std::array<std::uint8_t, iscsi::kBhsBytes> bhs;
  iscsi::NopOut{true, {}, 5, iscsi::kReservedTag, {}, {}, 0}.encode(bhs);
  const Reply reply = login_.handle(bhs, {});
  expect_refused(reply, LoginStatus::kInvalidDuringLogin);
  EXPECT_EQ(reply.header.initiator_task_tag, 5u);
  EXPECT_EQ(reply.header.isid, base_.isid);
}

// --- Sessions: the table in RFC 7143 §6.3.1 ---

TEST_F(LoginTest, SameIsidReinstatesTheSession) {
  policy_.existing = ExistingSession{9, true};
  EXPECT_EQ(send(kOperational, kFullFeature, names()).next, Login::Next::kFullFeature);
  EXPECT_EQ(login_.outcome().kind, LoginKind::kReinstatement);
  EXPECT_EQ(login_.outcome().tsih, 0x1234) << "the new session's";
}

TEST_F(LoginTest, SameTsihAndCidContinuesTheSession) {
  policy_.existing = ExistingSession{9, true};
  base_.tsih = 9;
  const Reply reply = send(kOperational, kFullFeature, names({"MaxBurstLength=512", "HeaderDigest=CRC32C"}));
  EXPECT_EQ(reply.next, Login::Next::kFullFeature) << login_.failure().why;
  EXPECT_EQ(login_.outcome().kind, LoginKind::kContinuation);
  EXPECT_EQ(reply.header.tsih, 9);
  EXPECT_EQ(answers_["MaxBurstLength"], "Reject") << "the session keeps its parameters";
  EXPECT_EQ(answers_["HeaderDigest"], "CRC32C");
}

TEST_F(LoginTest, NewCidIsOneConnectionTooMany) {
  policy_.existing = ExistingSession{9, false};
  base_.tsih = 9;
  expect_refused(send(kOperational, kFullFeature, names()), LoginStatus::kTooManyConnections);
}

TEST_F(LoginTest, TsihOfNoSession) {
  base_.tsih = 9;
  expect_refused(send(kOperational, kFullFeature, names()), LoginStatus::kSessionDoesNotExist);
}

TEST_F(LoginTest, TsihOfAnotherSession) {
  policy_.existing = ExistingSession{8, true};
  base_.tsih = 9;
  expect_refused(send(kOperational, kFullFeature, names()), LoginStatus::kSessionDoesNotExist);
}

TEST_F(LoginTest, SessionThatCannotBeOpened) {
  policy_.open_refusal = LoginRefusal{LoginStatus::kOutOfResources, "there are too many sessions", {}};
  send(kSecurity, kOperational, names());
  const Reply reply = send(kOperational, kFullFeature, {});
  expect_refused(reply, LoginStatus::kOutOfResources);
  EXPECT_EQ(reply.header.stat_sn, iscsi::StatSn(0)) << "the success that it might have been has no number";
}

TEST_F(LoginTest, NegotiationGoesOnInFullFeaturePhase) {
  send(kOperational, kFullFeature, names({"MaxRecvDataSegmentLength=4096"}));
  iscsi::Negotiator negotiator = login_.take_negotiator();
  EXPECT_EQ(negotiator.parameters().peer_max_recv_data_segment_length, 4096u);
}

}  // namespace
}  // namespace peerlane::target::testing
