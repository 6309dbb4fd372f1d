#include "iscsi/chap.h"

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::iscsi {
namespace {

// Bytes that count up: known, and different at each call.
class CountingRandom final : public RandomSource {
 public:
  explicit CountingRandom(std::uint8_t start = 0) : next_(start) {}
  Result<void> fill(ByteSpan out) override {
    for (std::uint8_t& byte : out) byte = next_++;
    return {};
  }

 private:
  std::uint8_t next_;
};

class NoRandom final : public RandomSource {
 public:
  Result<void> fill(ByteSpan) override { return fail(EIO, "no random numbers"); }
};

constexpr ChapAccountView kAlice{"alice", "alicesecret123"};
constexpr ChapAccountView kBob{"bob", "bobsecret12345"};
constexpr ChapAccountView kTarget{"target1", "targetsecret45"};

// The pairs of a text, which they keep alive.
class Text {
 public:
  explicit Text(TextWriter& writer) : bytes_(as_text(writer.next_segment(1 << 20))) {
    pairs_ = parse_text(as_bytes(bytes_)).value();
    writer.clear();
  }
  const std::vector<KeyValue>& pairs() const { return pairs_; }
  std::string value(std::string_view key) const {
    for (const KeyValue& pair : pairs_) {
      if (pair.key == key) return std::string(pair.value);
    }
    return "absent";
  }

 private:
  std::string bytes_;
  std::vector<KeyValue> pairs_;
};

using Pairs = std::vector<KeyValue>;

std::string hex_response(ChapAlgorithm algorithm, std::uint8_t identifier, std::string_view secret,
                         std::string_view challenge) {
  std::array<std::uint8_t, 1024> bytes{};
  const auto size = decode_binary(challenge, bytes);
  return encode_hex(chap_response(algorithm, identifier, secret, ByteView(bytes).first(size.value())).value().view());
}

// What libiscsi 1.19 and tgt 1.0.85 answered each other in a mutual authentication.
TEST(Chap, ComputesWhatLibiscsiAndTgtDo) {
  EXPECT_EQ(hex_response(ChapAlgorithm::kMd5, 1, "alicesecret123",
                         "0xec2f97006e94ae266b997d54d97fae212936d5e8e3a4f3d459ffa2a4d1e1a489d8b286f7c14043f666485c2a4ea"
                         "646d9aa15"),
            "0x8e98524aa5d0013e14c93ba124ab6613");
  EXPECT_EQ(hex_response(ChapAlgorithm::kMd5, 1, "targetsecret45",
                         "0xC211B261C01DE2B6334D24D5210C07B58E1EB5BE50F7A671279C5EA0BC831F7E"),
            "0xdd6b958c4ade61140248576df843bc68");
}

// Python's hashlib over 2a, the secret and the bytes 00 to 0f.
TEST(Chap, ComputesEveryAlgorithm) {
  constexpr std::string_view kChallenge = "0x000102030405060708090a0b0c0d0e0f";
  const std::map<ChapAlgorithm, std::string> expected{
      {ChapAlgorithm::kMd5, "0xd9133a4b081255937e6059007cf0434e"},
      {ChapAlgorithm::kSha1, "0xcf46f4dc664733be585973e7193790bba802600d"},
      {ChapAlgorithm::kSha256, "0xb613b6ea17c9350f1e050baa06b3e7884437bf4137cdc3562f2a3b9e8added42"},
      {ChapAlgorithm::kSha3Of256, "0xd8f3717d8bfa73b4a187fcdd8de5441dca1fd2ee12143e2aa1b8e0488fb9f81e"}};
  for (const auto& [algorithm, digest] : expected) {
    EXPECT_EQ(hex_response(algorithm, 0x2a, "0123456789ab", kChallenge), digest);
  }
}

TEST(Chap, SecretsHaveTwelveBytes) {
  EXPECT_FALSE(check_chap_secret("01234567890"));
  EXPECT_TRUE(check_chap_secret("012345678901"));
}

// Both state machines against each other; what each text looked like.
struct Exchange {
  Result<void> result;
  bool initiator_done = false;
  bool target_done = false;
  std::string algorithm;
  std::string user;
};

Exchange exchange(ChapAccountView own, std::optional<ChapAccountView> expected_target,
                  std::optional<ChapAccountView> target_own) {
  CountingRandom initiator_random(1);
  CountingRandom target_random(100);
  ChapInitiator initiator(initiator_random, own, expected_target);
  ChapTarget target(target_random, {kAlice, kBob}, target_own);
  Exchange out;
  TextWriter text;
  initiator.start(text);
  for (int turn = 0; turn < 2 && out.result; ++turn) {
    out.result = target.handle(Text(text).pairs(), text);
    if (!out.result) break;
    const Text reply(text);
    if (turn == 0) out.algorithm = reply.value("CHAP_A");
    out.result = initiator.handle(reply.pairs(), text);
  }
  out.initiator_done = initiator.done();
  out.target_done = target.done();
  out.user = target.user();
  return out;
}

TEST(Chap, BothEndsAgree) {
  const Exchange one_way = exchange(kBob, std::nullopt, kTarget);
  ASSERT_TRUE(one_way.result) << one_way.result.error().message;
  EXPECT_TRUE(one_way.initiator_done && one_way.target_done);
  EXPECT_EQ(one_way.algorithm, "8") << "the strongest";
  EXPECT_EQ(one_way.user, "bob");

  const Exchange mutual = exchange(kAlice, kTarget, kTarget);
  ASSERT_TRUE(mutual.result) << mutual.result.error().message;
  EXPECT_TRUE(mutual.initiator_done && mutual.target_done);
}

TEST(Chap, WrongSecretsAndNamesFailOnEitherSide) {
  const Exchange wrong = exchange({"alice", "wrongsecret123"}, std::nullopt, kTarget);
  EXPECT_EQ(wrong.result.error().code, EACCES);
  EXPECT_FALSE(wrong.target_done);
  EXPECT_EQ(wrong.user, "");
  EXPECT_FALSE(exchange({"mallory", "no such account"}, std::nullopt, kTarget).result) << "the secret of the dummy";
  EXPECT_FALSE(exchange({"alice", kBob.secret}, std::nullopt, kTarget).result) << "another's secret";

  const Exchange impostor = exchange(kAlice, kTarget, ChapAccountView{"target1", "notthesecret1"});
  EXPECT_EQ(impostor.result.error().code, EACCES);
  EXPECT_FALSE(impostor.initiator_done);
  EXPECT_FALSE(exchange(kAlice, kTarget, ChapAccountView{"other", kTarget.secret}).result);
  EXPECT_FALSE(exchange(kAlice, kTarget, std::nullopt).result) << "the target has no account to prove itself with";
}

TEST(Chap, OneSecretForBothDirectionsIsRefused) {
  EXPECT_FALSE(exchange(kAlice, ChapAccountView{"target1", kAlice.secret}, kTarget).result);
  // An initiator that does not check it itself meets the target's check.
  CountingRandom random;
  ChapTarget target(random, {kAlice}, ChapAccountView{"target1", kAlice.secret});
  TextWriter text;
  ASSERT_TRUE(target.handle(Pairs{{"CHAP_A", "7"}}, text));
  const Text challenge(text);
  const auto id = static_cast<std::uint8_t>(parse_number(challenge.value("CHAP_I")).value());
  const std::string response = hex_response(ChapAlgorithm::kSha256, id, kAlice.secret, challenge.value("CHAP_C"));
  EXPECT_FALSE(
      target.handle(Pairs{{"CHAP_N", "alice"}, {"CHAP_R", response}, {"CHAP_I", "1"}, {"CHAP_C", "0x0102"}}, text));
  EXPECT_TRUE(text.empty());
  EXPECT_FALSE(target.done());
}

// A target that has sent its challenge with the algorithm asked for.
class ChapTargetTest : public testing::Test {
 protected:
  void challenge(std::string_view algorithms) {
    TextWriter text;
    ASSERT_TRUE(target_.handle(Pairs{{"CHAP_A", algorithms}}, text));
    const Text sent(text);
    algorithm_ = sent.value("CHAP_A");
    identifier_ = sent.value("CHAP_I");
    challenge_ = sent.value("CHAP_C");
  }
  std::string right_response(ChapAccountView account) const {
    return hex_response(static_cast<ChapAlgorithm>(parse_number(algorithm_).value()),
                        static_cast<std::uint8_t>(parse_number(identifier_).value()), account.secret, challenge_);
  }
  Result<void> send(const Pairs& pairs) { return target_.handle(pairs, sent_); }

  CountingRandom random_{7};
  ChapTarget target_{random_, {kAlice, kBob}, kTarget};
  TextWriter sent_;
  std::string algorithm_, identifier_, challenge_;
};

TEST_F(ChapTargetTest, ChoosesTheStrongestCommonAlgorithm) {
  challenge("5,7,6");
  EXPECT_EQ(algorithm_, "7");
  EXPECT_EQ(challenge_.size(), 2 + 2 * 32u);
}

TEST_F(ChapTargetTest, SpeaksMd5WithThoseWhoKnowNothingElse) {
  challenge("5");
  EXPECT_EQ(algorithm_, "5");
  EXPECT_EQ(identifier_, "23");
  EXPECT_EQ(challenge_, "0x0708090a0b0c0d0e0f10111213141516");
  EXPECT_TRUE(send({{"CHAP_N", "alice"}, {"CHAP_R", right_response(kAlice)}}));
  EXPECT_TRUE(target_.done());
  EXPECT_TRUE(sent_.empty());
}

TEST_F(ChapTargetTest, TakesAResponseInBase64) {
  challenge("6");
  std::array<std::uint8_t, 32> bytes{};
  const auto size = decode_binary(right_response(kBob), bytes);
  EXPECT_TRUE(send({{"CHAP_R", encode_base64(ByteView(bytes).first(*size))}, {"CHAP_N", "bob"}}));
  EXPECT_EQ(target_.user(), "bob");
}

TEST_F(ChapTargetTest, RefusesAlgorithmsItDoesNotKnow) {
  EXPECT_EQ(send({{"CHAP_A", "0,9,MD5,05"}}).error().code, EACCES);
  EXPECT_TRUE(sent_.empty());
}

TEST_F(ChapTargetTest, RefusesItsOwnChallenge) {
  challenge("5");
  const auto result =
      send({{"CHAP_N", "alice"}, {"CHAP_R", right_response(kAlice)}, {"CHAP_I", identifier_}, {"CHAP_C", challenge_}});
  EXPECT_EQ(result.error().code, EACCES);
  EXPECT_TRUE(sent_.empty()) << "nothing may be computed over it";
  EXPECT_FALSE(target_.done());
}

TEST_F(ChapTargetTest, RefusesResponsesOfTheWrongLength) {
  challenge("5");
  const std::string right = right_response(kAlice);
  for (const std::string& response :
       {right.substr(0, right.size() - 2), right + "00", std::string("0x"), std::string("0x00"), std::string("hello"),
        right.substr(2), "0x" + std::string(2048, '0')}) {
    ChapTarget again = target_;
    EXPECT_EQ(again.handle(Pairs{{"CHAP_N", "alice"}, {"CHAP_R", response}}, sent_).error().code, EACCES) << response;
    EXPECT_FALSE(again.done());
  }
}

TEST_F(ChapTargetTest, RefusesAWrongIdentifierOrChallenge) {
  challenge("5");
  const std::string response = right_response(kAlice);
  for (const auto& [id, c] :
       std::vector<std::pair<std::string_view, std::string>>{{"256", "0x0102"},
                                                             {"-1", "0x0102"},
                                                             {"", "0x0102"},
                                                             {"1", "0x"},
                                                             {"1", "none"},
                                                             {"1", "0x" + std::string(2 * 1025, '1')}}) {
    ChapTarget again = target_;
    EXPECT_EQ(again.handle(Pairs{{"CHAP_N", "alice"}, {"CHAP_R", response}, {"CHAP_I", id}, {"CHAP_C", c}}, sent_)
                  .error()
                  .code,
              EPROTO);
  }
  ChapTarget again = target_;
  EXPECT_TRUE(again.handle(
      Pairs{
          {"CHAP_N", "alice"}, {"CHAP_R", response}, {"CHAP_I", "255"}, {"CHAP_C", "0x" + std::string(2 * 1024, '1')}},
      sent_));
}

TEST_F(ChapTargetTest, RefusesKeysOutOfOrder) {
  EXPECT_EQ(send({{"CHAP_N", "alice"}, {"CHAP_R", "0x00"}}).error().code, EPROTO) << "before the challenge";
  challenge("5");
  const std::string response = right_response(kAlice);
  EXPECT_EQ(send({{"CHAP_A", "5"}}).error().code, EPROTO) << "a second challenge";
  EXPECT_EQ(send({{"CHAP_N", "alice"}}).error().code, EPROTO);
  EXPECT_EQ(send({{"CHAP_R", response}}).error().code, EPROTO);
  EXPECT_EQ(send({{"CHAP_N", "alice"}, {"CHAP_R", response}, {"CHAP_C", "0x01"}}).error().code, EPROTO);
  EXPECT_TRUE(send({{"Other", "x"}})) << "not its keys";
  EXPECT_TRUE(send({{"CHAP_N", "alice"}, {"CHAP_R", response}}));
  EXPECT_EQ(send({{"CHAP_N", "alice"}, {"CHAP_R", response}}).error().code, EPROTO) << "again";
}

TEST_F(ChapTargetTest, ErrorsHoldNoSecret) {
  challenge("5");
  const auto result = send({{"CHAP_N", "alice\x1b"}, {"CHAP_R", right_response(kBob)}});
  EXPECT_EQ(result.error().message.find(kAlice.secret), std::string::npos);
  EXPECT_EQ(result.error().message.find('\x1b'), std::string::npos);
}

TEST(ChapInitiator, RefusesWhatATargetMayNotSend) {
  CountingRandom random;
  const auto respond = [&](const Pairs& pairs) {
    ChapInitiator initiator(random, kAlice, std::nullopt);
    TextWriter text;
    return initiator.handle(pairs, text);
  };
  EXPECT_TRUE(respond({{"CHAP_A", "5"}, {"CHAP_I", "1"}, {"CHAP_C", "0x01"}}));
  EXPECT_FALSE(respond({{"CHAP_A", "9"}, {"CHAP_I", "1"}, {"CHAP_C", "0x01"}}));
  EXPECT_FALSE(respond({{"CHAP_A", "5"}, {"CHAP_C", "0x01"}}));
  EXPECT_FALSE(respond({{"CHAP_A", "5"}, {"CHAP_I", "1000"}, {"CHAP_C", "0x01"}}));
  EXPECT_FALSE(respond({{"CHAP_A", "5"}, {"CHAP_I", "1"}, {"CHAP_C", "01"}}));
}

TEST(Chap, FailsWithoutRandomNumbers) {
  NoRandom none;
  ChapTarget target(none, {kAlice}, std::nullopt);
  TextWriter text;
  EXPECT_EQ(target.handle(Pairs{{"CHAP_A", "5"}}, text).error().code, EIO);
  EXPECT_TRUE(text.empty());
}

TEST(SystemRandom, GivesOtherBytesEachTime) {
  SystemRandom random;
  std::array<std::uint8_t, 32> a{}, b{};
  ASSERT_TRUE(random.fill(a));
  ASSERT_TRUE(random.fill(b));
  EXPECT_NE(a, b);
}

}  // namespace
}  // namespace peerlane::iscsi
