#include "initiator/login.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::initiator {
namespace {

using iscsi::LoginResponse;
using iscsi::LoginStatus;
using iscsi::Stage;
using Step = Login::Step;

constexpr std::string_view kInitiator = "iqn.2026-11.dev.peerlane:initiator";
constexpr std::string_view kTarget = "iqn.2026-11.dev.peerlane:target";

class FixedRandom final : public iscsi::RandomSource {
 public:
  Result<void> fill(ByteSpan out) override {
    for (std::uint8_t& byte : out) byte = next_++;
    return {};
  }

 private:
  std::uint8_t next_ = 1;
};

std::string text_of(std::initializer_list<std::string> pairs) {
  std::string text;
  for (const std::string& pair : pairs) text += pair + '\0';
  return text;
}

/// A login, and a target that follows the rules but where a test says otherwise.
class Dialogue {
 public:
  Dialogue() {
    terms.initiator_name = kInitiator;
    terms.target_name = kTarget;
    terms.isid = {0x80, 1, 2, 3, 4, 5};
  }

  Login& login() {
    if (!login_) login_.emplace(random, terms);
    return *login_;
  }

  /// What a target that follows the rules answers to the request that is out, with `text`.
  LoginResponse response_to_request(bool transit) {
    const iscsi::LoginRequest& request = login().request();
    LoginResponse response;
    response.transit = transit;
    response.current_stage = request.current_stage;
    if (transit) response.next_stage = request.next_stage;
    response.isid = request.isid;
    response.initiator_task_tag = request.initiator_task_tag;
    response.stat_sn = stat_sn++;
    response.exp_cmd_sn = request.cmd_sn;
    response.max_cmd_sn = request.cmd_sn + 31;
    if (transit && request.next_stage == Stage::kFullFeature) response.tsih = 7;
    return response;
  }

  Step take(LoginResponse response, std::string_view text = {}) {
    response.data_segment_length = static_cast<std::uint32_t>(text.size());
    std::array<std::uint8_t, iscsi::kBhsBytes> bhs{};
    response.encode(bhs);
    return login().take(bhs, as_bytes(text));
  }

  /// Goes through the security stage without CHAP.
  void to_operational() {
    ASSERT_EQ(login().start(), Step::kSend);
    ASSERT_EQ(take(response_to_request(true), text_of({"AuthMethod=None", "TargetPortalGroupTag=3"})), Step::kSend);
    ASSERT_EQ(login().request().current_stage, Stage::kOperationalNegotiation);
  }

  std::string sent() { return std::string(as_text(login().data())); }
  void expect_refused(Step step, int code) {
    EXPECT_EQ(step, Step::kFailed);
    EXPECT_EQ(login().refusal().error.code, code) << login().refusal().error.text();
    EXPECT_FALSE(login().refusal().error.text().empty());
  }

  FixedRandom random;
  LoginTerms terms;
  iscsi::StatSn stat_sn{100};

 private:
  std::optional<Login> login_;
};

class LoginTest : public ::testing::Test, protected Dialogue {};

TEST_F(LoginTest, WithoutChap) {
  ASSERT_EQ(login().start(), Step::kSend);
  EXPECT_EQ(sent(), text_of({"InitiatorName=" + std::string(kInitiator), "SessionType=Normal",
                             "TargetName=" + std::string(kTarget), "AuthMethod=None"}));
  EXPECT_TRUE(login().request().transit);
  ASSERT_EQ(take(response_to_request(true), text_of({"AuthMethod=None", "TargetPortalGroupTag=3"})), Step::kSend);
  EXPECT_EQ(login().request().next_stage, Stage::kFullFeature);
  EXPECT_EQ(login().request().exp_stat_sn, iscsi::StatSn(101));
  EXPECT_NE(sent().find("MaxBurstLength=1048576"), std::string::npos);
  ASSERT_EQ(take(response_to_request(true), text_of({"MaxBurstLength=65536", "InitialR2T=No"})), Step::kDone);
  const LoginOutcome& outcome = login().outcome();
  EXPECT_EQ(outcome.tsih, 7u);
  EXPECT_EQ(outcome.group, 3u);
  EXPECT_EQ(outcome.parameters.max_burst_length, 65536u);
  EXPECT_EQ(outcome.parameters.first_burst_length, 65536u);
  EXPECT_FALSE(outcome.parameters.initial_r2t);
  EXPECT_EQ(outcome.cmd_sn, iscsi::CmdSn(1));
  EXPECT_EQ(outcome.max_cmd_sn, iscsi::CmdSn(32));
  EXPECT_EQ(outcome.exp_stat_sn, iscsi::StatSn(102));
}

TEST_F(LoginTest, ADiscoverySessionNamesNoTarget) {
  terms.target_name.clear();
  ASSERT_EQ(login().start(), Step::kSend);
  EXPECT_EQ(sent().find("TargetName"), std::string::npos);
  EXPECT_NE(sent().find("SessionType=Discovery"), std::string::npos);
}

TEST_F(LoginTest, TextInPartsIsGathered) {
  to_operational();
  LoginResponse part = response_to_request(false);
  part.continues = true;
  ASSERT_EQ(take(part, "MaxBurst"), Step::kSend);
  EXPECT_TRUE(sent().empty());
  ASSERT_EQ(take(response_to_request(true), "Length=65536"), Step::kDone);
  EXPECT_EQ(login().outcome().parameters.max_burst_length, 65536u);
}

TEST_F(LoginTest, AnEndlessLoginEnds) {
  to_operational();
  Step step = Step::kSend;
  unsigned steps = 0;
  for (; step == Step::kSend && steps < 1000; ++steps) step = take(response_to_request(false));
  expect_refused(step, EPROTO);
  EXPECT_LE(steps, limits::kLoginPdus);
}

TEST_F(LoginTest, AnEndlessTextEnds) {
  to_operational();
  const std::string part(8192, 'a');
  Step step = Step::kSend;
  for (unsigned i = 0; step == Step::kSend && i < 1000; ++i) {
    LoginResponse response = response_to_request(false);
    response.continues = true;
    step = take(response, part);
  }
  expect_refused(step, EPROTO);
}

TEST_F(LoginTest, RefusalsSayWhatToDo) {
  ASSERT_EQ(login().start(), Step::kSend);
  LoginResponse response = response_to_request(false);
  response.status = LoginStatus::kAuthenticationFailure;
  expect_refused(take(response), EACCES);
  EXPECT_NE(login().refusal().error.text().find("give a user and a secret"), std::string::npos);
  EXPECT_EQ(login().refusal().status, LoginStatus::kAuthenticationFailure);
}

TEST_F(LoginTest, ATargetThatMovedIsFollowed) {
  ASSERT_EQ(login().start(), Step::kSend);
  LoginResponse response = response_to_request(false);
  response.status = LoginStatus::kMovedPermanently;
  expect_refused(take(response, text_of({"TargetAddress=[2001:db8::7]:3261,1"})), EREMCHG);
  EXPECT_EQ(login().refusal().moved, (iscsi::TargetAddress{"2001:db8::7", 3261, 1}));
}

TEST_F(LoginTest, ATargetThatMovedNowhereIsNot) {
  for (const char* const text : {"", "TargetAddress=", "TargetAddress=a b", "no pair"}) {
    Dialogue other;
    ASSERT_EQ(other.login().start(), Step::kSend);
    LoginResponse response = other.response_to_request(false);
    response.status = LoginStatus::kMovedTemporarily;
    other.expect_refused(other.take(response, text), EPROTO);
    EXPECT_FALSE(other.login().refusal().moved);
  }
}

// --- Responses that no target may send ---

TEST_F(LoginTest, WrongFieldsAreRefused) {
  using Change = void (*)(LoginResponse&);
  const Change changes[] = {
      [](LoginResponse& r) { r.initiator_task_tag += 1; },
      [](LoginResponse& r) { r.isid[5] += 1; },
      [](LoginResponse& r) { r.version_active = 1; },
      [](LoginResponse& r) { r.current_stage = Stage::kOperationalNegotiation; },
      [](LoginResponse& r) { r.next_stage = Stage::kFullFeature; },
      [](LoginResponse& r) { r.transit = r.continues = true; },
  };
  for (const Change change : changes) {
    Dialogue other;
    ASSERT_EQ(other.login().start(), Step::kSend);
    LoginResponse response = other.response_to_request(true);
    change(response);
    other.expect_refused(other.take(response), EPROTO);
  }
}

TEST_F(LoginTest, SequenceAndHandleMatter) {
  {
    Dialogue other;
    other.to_operational();
    other.stat_sn = iscsi::StatSn(200);
    other.expect_refused(other.take(other.response_to_request(true)), EPROTO);
  }
  to_operational();
  LoginResponse response = response_to_request(true);
  response.tsih = 0;
  expect_refused(take(response), EPROTO);
}

TEST_F(LoginTest, AnotherPduIsRefused) {
  ASSERT_EQ(login().start(), Step::kSend);
  std::array<std::uint8_t, iscsi::kBhsBytes> bhs{};
  iscsi::NopIn().encode(bhs);
  expect_refused(login().take(bhs, {}), EPROTO);
}

TEST_F(LoginTest, TextThatIsNoneIsRefused) {
  for (const std::string& text : {text_of({"no pair"}), text_of({"MaxBurstLength=1", "MaxBurstLength=1"}),
                                  text_of({"AuthMethod=KRB5"}), text_of({"TargetPortalGroupTag=65536"})}) {
    Dialogue other;
    ASSERT_EQ(other.login().start(), Step::kSend);
    other.expect_refused(other.take(other.response_to_request(true), text), EPROTO);
  }
}

// --- CHAP ---

class ChapDialogue : public Dialogue {
 public:
  ChapDialogue() { terms.account = Account{"alice", "alice's own secret"}; }

  std::vector<std::uint8_t> challenge = std::vector<std::uint8_t>(32, 0x42);

  /// Up to the request with our answer to the target's challenge.
  void to_answer() {
    ASSERT_EQ(login().start(), Step::kSend);
    ASSERT_EQ(take(response_to_request(false), text_of({"AuthMethod=CHAP"})), Step::kSend);
    ASSERT_NE(sent().find("CHAP_A="), std::string::npos);
    ASSERT_FALSE(login().request().transit);
    ASSERT_EQ(
        take(response_to_request(false), text_of({"CHAP_A=7", "CHAP_I=9", "CHAP_C=" + iscsi::encode_hex(challenge)})),
        Step::kSend);
    ASSERT_TRUE(login().request().transit);
  }
  std::string value_of(std::string_view key) {
    const auto pairs = iscsi::parse_text(login().data());
    const auto found = std::ranges::find(*pairs, key, &iscsi::KeyValue::key);
    return found == pairs->end() ? std::string() : std::string(found->value);
  }
};

class ChapLoginTest : public ::testing::Test, protected ChapDialogue {};

TEST_F(ChapLoginTest, AnswersTheChallenge) {
  to_answer();
  EXPECT_EQ(value_of("CHAP_N"), "alice");
  const auto expected = iscsi::chap_response(iscsi::ChapAlgorithm::kSha256, 9, "alice's own secret", challenge);
  EXPECT_EQ(value_of("CHAP_R"), iscsi::encode_hex(expected->view()));
  EXPECT_TRUE(value_of("CHAP_C").empty());
  EXPECT_EQ(sent().find("secret"), std::string::npos);
  ASSERT_EQ(take(response_to_request(true)), Step::kSend);
  EXPECT_EQ(take(response_to_request(true)), Step::kDone);
}

TEST_F(ChapLoginTest, ATargetMayDoWithout) {
  ASSERT_EQ(login().start(), Step::kSend);
  ASSERT_EQ(take(response_to_request(true), text_of({"AuthMethod=None"})), Step::kSend);
  EXPECT_EQ(login().request().current_stage, Stage::kOperationalNegotiation);
}

TEST_F(ChapLoginTest, SecurityEndsOnlyWithTheExchange) {
  ASSERT_EQ(login().start(), Step::kSend);
  expect_refused(take(response_to_request(true), text_of({"AuthMethod=CHAP"})), EACCES);
}

class MutualDialogue : public ChapDialogue {
 public:
  MutualDialogue() { terms.target_account = Account{"target", "the target's secret"}; }

  std::string proof(std::string_view secret) {
    const auto identifier = iscsi::parse_number(value_of("CHAP_I"));
    std::array<std::uint8_t, 64> bytes{};
    const auto size = iscsi::decode_binary(value_of("CHAP_C"), bytes);
    const auto response =
        iscsi::chap_response(iscsi::ChapAlgorithm::kSha256, static_cast<std::uint8_t>(identifier.value()), secret,
                             ByteView(bytes).first(size.value()));
    return iscsi::encode_hex(response->view());
  }
};

class MutualLoginTest : public ::testing::Test, protected MutualDialogue {};

TEST_F(MutualLoginTest, TheTargetProvesItself) {
  to_answer();
  const auto text = text_of({"CHAP_N=target", "CHAP_R=" + proof("the target's secret")});
  ASSERT_EQ(take(response_to_request(true), text), Step::kSend);
  EXPECT_EQ(take(response_to_request(true)), Step::kDone);
}

TEST_F(MutualLoginTest, NothingGoesOnWithoutItsProof) {
  to_answer();
  expect_refused(take(response_to_request(true)), EACCES);
}

TEST_F(MutualLoginTest, AWrongProofIsRefused) {
  to_answer();
  const auto text = text_of({"CHAP_N=target", "CHAP_R=" + proof("another secret, wrong")});
  expect_refused(take(response_to_request(true), text), EACCES);
}

TEST_F(MutualLoginTest, ATargetCannotDoWithout) {
  ASSERT_EQ(login().start(), Step::kSend);
  EXPECT_EQ(sent().find("None"), std::string::npos);
  expect_refused(take(response_to_request(true), text_of({"AuthMethod=None"})), EPROTO);
  MutualDialogue silent;
  ASSERT_EQ(silent.login().start(), Step::kSend);
  silent.expect_refused(silent.take(silent.response_to_request(true)), EACCES);
}

}  // namespace
}  // namespace peerlane::initiator
