// For tests: the initiator's end of a Login, and a LoginPolicy that does as it is told.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "iscsi/chap.h"
#include "target/login.h"

namespace peerlane::target::testing {

inline constexpr iscsi::Stage kSecurity = iscsi::Stage::kSecurityNegotiation;
inline constexpr iscsi::Stage kOperational = iscsi::Stage::kOperationalNegotiation;
inline constexpr iscsi::Stage kFullFeature = iscsi::Stage::kFullFeature;

inline constexpr std::string_view kInitiator = "iqn.2004-10.org.example:host";
inline constexpr std::string_view kTarget = "iqn.2004-10.org.example:disk";

class CountingRandom final : public iscsi::RandomSource {
 public:
  Result<void> fill(ByteSpan out) override {
    for (std::uint8_t& byte : out) byte = next_++;
    return {};
  }

 private:
  std::uint8_t next_ = 1;
};

class FakePolicy final : public LoginPolicy {
 public:
  LoginResult<LoginTerms> find_target(const LoginQuery& query) override {
    ++finds;
    asked_initiator = query.initiator;
    asked_target = query.target;
    if (refusal) return std::unexpected(*refusal);
    if (query.session_type == SessionType::kNormal && query.target != kTarget) {
      return std::unexpected(LoginRefusal{iscsi::LoginStatus::kNotFound, "no such target is served here", {}});
    }
    return LoginTerms{alias, std::make_shared<Authentication>(rules)};
  }
  std::optional<ExistingSession> find_session(const LoginOutcome&) override { return existing; }
  LoginResult<void> open_session(LoginOutcome& outcome) override {
    ++opened;
    if (open_refusal) return std::unexpected(*open_refusal);
    if (outcome.tsih == 0) outcome.tsih = 0x1234;
    return {};
  }

  Authentication rules;
  std::string alias;
  std::optional<LoginRefusal> refusal;
  std::optional<LoginRefusal> open_refusal;
  std::optional<ExistingSession> existing;
  int finds = 0;
  int opened = 0;
  std::string asked_initiator;
  std::string asked_target;
};

// The initiator's end: builds requests, and takes answers apart.
class LoginTest : public ::testing::Test {
 protected:
  using Reply = Login::Reply;

  // A text for `pairs`, each "Key=value".
  static std::string text(const std::vector<std::string>& pairs) {
    std::string out;
    for (const std::string& pair : pairs) out += pair + '\0';
    return out;
  }
  static std::vector<std::string> names(std::vector<std::string> more = {}) {
    std::vector<std::string> out{"InitiatorName=" + std::string(kInitiator), "TargetName=" + std::string(kTarget),
                                 "SessionType=Normal"};
    out.insert(out.end(), more.begin(), more.end());
    return out;
  }

  Reply send_raw(const iscsi::LoginRequest& request, std::string_view data) {
    std::array<std::uint8_t, iscsi::kBhsBytes> bhs;
    request.encode(bhs);
    put_be24(bhs, 5, static_cast<std::uint32_t>(data.size()));
    const Reply reply = login_.handle(bhs, as_bytes(data));
    answers_.clear();
    answer_text_ = as_text(reply.data);
    EXPECT_EQ(reply.header.data_segment_length, reply.data.size());
    if (const auto pairs = iscsi::parse_text(as_bytes(answer_text_))) {
      for (const auto& pair : *pairs) answers_.emplace(pair.key, pair.value);
    }
    return reply;
  }

  // A request in `current`; with `next` it asks to go there.
  Reply send(iscsi::Stage current, std::optional<iscsi::Stage> next, const std::vector<std::string>& pairs) {
    return send_raw(request(current, next), text(pairs));
  }
  iscsi::LoginRequest request(iscsi::Stage current, std::optional<iscsi::Stage> next) const {
    iscsi::LoginRequest out = base_;
    out.current_stage = current;
    out.transit = next.has_value();
    if (next) out.next_stage = *next;
    return out;
  }

  void expect_refused(const Reply& reply, iscsi::LoginStatus status) {
    EXPECT_EQ(reply.next, Login::Next::kClose);
    EXPECT_TRUE(reply.send);
    EXPECT_EQ(reply.header.status, status) << login_.failure().why;
    EXPECT_EQ(login_.failure().status, status);
    EXPECT_FALSE(reply.header.transit);
    EXPECT_THAT(login_.failure().why, ::testing::HasSubstr("192.0.2.9:40000"));
    EXPECT_EQ(policy_.opened, policy_.open_refusal ? 1 : 0);
  }

  // Answers a CHAP challenge that is in answers_.
  std::vector<std::string> response(std::string_view user, std::string_view secret) {
    std::array<std::uint8_t, 1024> challenge{};
    const auto size = iscsi::decode_binary(answers_["CHAP_C"], challenge);
    const auto digest = iscsi::chap_response(static_cast<iscsi::ChapAlgorithm>(std::stoi(answers_["CHAP_A"])),
                                             static_cast<std::uint8_t>(std::stoi(answers_["CHAP_I"])), secret,
                                             ByteView(challenge).first(size.value_or(0)));
    return {"CHAP_N=" + std::string(user), "CHAP_R=" + iscsi::encode_hex(digest->view())};
  }

  void demand_chap() {
    policy_.rules.allow_none = false;
    policy_.rules.accounts = {{"alice", "alicesecret123"}};
  }

  static iscsi::LoginRequest base() {
    iscsi::LoginRequest out;
    out.isid = {0x80, 1, 2, 3, 0, 0};
    out.initiator_task_tag = 77;
    out.cid = 1;
    out.cmd_sn = iscsi::CmdSn(1000);
    out.exp_stat_sn = iscsi::StatSn(0xffffffff);
    return out;
  }

  iscsi::LoginRequest base_ = base();
  FakePolicy policy_;
  CountingRandom random_;
  Login login_{policy_, random_, {"192.0.2.9:40000", "192.0.2.1:3260", 3}, {}};
  std::map<std::string, std::string> answers_;
  std::string answer_text_;
};

}  // namespace peerlane::target::testing
