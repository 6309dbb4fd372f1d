#include "iscsi/negotiation.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::iscsi {
namespace {

using Answers = std::map<std::string, std::string>;
using Pairs = std::vector<KeyValue>;

constexpr Stage kSecurity = Stage::kSecurityNegotiation;
constexpr Stage kOperational = Stage::kOperationalNegotiation;
constexpr Stage kFullFeature = Stage::kFullFeature;

Result<Answers> answer(Negotiator& negotiator, const Pairs& pairs, Stage stage = kOperational) {
  TextWriter text;
  if (auto done = negotiator.answer(stage, pairs, text); !done) return std::unexpected(done.error());
  Answers out;
  const auto parsed = parse_text(text.next_segment(1 << 20));
  EXPECT_TRUE(parsed);
  for (const KeyValue& pair : *parsed) EXPECT_TRUE(out.emplace(pair.key, pair.value).second) << pair.key;
  return out;
}

std::string answer_one(std::string_view key, std::string_view value, const Preferences& preferences = {}) {
  Negotiator negotiator(preferences);
  const auto answers = answer(negotiator, {{key, value}});
  if (!answers || answers->empty()) return "";
  return answers->begin()->second;
}

// What libiscsi 1.19 offers.
const Pairs kLibiscsi{{"HeaderDigest", "None,CRC32C"},
                      {"DataDigest", "None"},
                      {"InitialR2T", "No"},
                      {"ImmediateData", "Yes"},
                      {"MaxBurstLength", "262144"},
                      {"FirstBurstLength", "262144"},
                      {"DefaultTime2Wait", "2"},
                      {"DefaultTime2Retain", "0"},
                      {"MaxOutstandingR2T", "1"},
                      {"ErrorRecoveryLevel", "0"},
                      {"IFMarker", "No"},
                      {"OFMarker", "No"},
                      {"MaxConnections", "1"},
                      {"MaxRecvDataSegmentLength", "262144"},
                      {"DataPDUInOrder", "Yes"},
                      {"DataSequenceInOrder", "Yes"}};

TEST(Negotiation, AnswersLibiscsi) {
  Negotiator negotiator({});
  const auto answers = answer(negotiator, kLibiscsi);
  ASSERT_TRUE(answers);
  EXPECT_EQ(*answers, (Answers{{"HeaderDigest", "None"},
                               {"DataDigest", "None"},
                               {"InitialR2T", "No"},
                               {"ImmediateData", "Yes"},
                               {"MaxBurstLength", "262144"},
                               {"FirstBurstLength", "262144"},
                               {"DefaultTime2Wait", "2"},
                               {"DefaultTime2Retain", "0"},
                               {"MaxOutstandingR2T", "1"},
                               {"ErrorRecoveryLevel", "0"},
                               {"IFMarker", "No"},
                               {"OFMarker", "No"},
                               {"MaxConnections", "1"},
                               {"DataPDUInOrder", "Yes"},
                               {"DataSequenceInOrder", "Yes"}}));
  const Parameters p = negotiator.parameters();
  EXPECT_FALSE(p.header_digest);
  EXPECT_FALSE(p.initial_r2t);
  EXPECT_EQ(p.peer_max_recv_data_segment_length, 262144u);
  EXPECT_EQ(p.our_max_recv_data_segment_length, 8192u) << "nothing was declared yet";
  EXPECT_EQ(p.max_burst_length, 262144u);
  EXPECT_EQ(p.first_burst_length, 262144u);
  EXPECT_EQ(p.default_time2retain, 0u);
}

TEST(Negotiation, NothingOfferedLeavesTheDefaultsOfTheRfc) {
  const Negotiator negotiator({});
  EXPECT_EQ(negotiator.parameters(), Parameters{});
}

TEST(Negotiation, NumbersAreMinimumOrMaximum) {
  Preferences mine;
  mine.max_burst_length = 1 << 20;
  mine.max_outstanding_r2t = 4;
  mine.default_time2wait = 5;
  mine.default_time2retain = 10;
  EXPECT_EQ(answer_one("MaxBurstLength", "16776192", mine), "1048576");
  EXPECT_EQ(answer_one("MaxBurstLength", "4096", mine), "4096");
  EXPECT_EQ(answer_one("MaxBurstLength", "0x1000", mine), "4096");
  EXPECT_EQ(answer_one("MaxOutstandingR2T", "65535", mine), "4");
  EXPECT_EQ(answer_one("DefaultTime2Wait", "2", mine), "5");
  EXPECT_EQ(answer_one("DefaultTime2Wait", "3600", mine), "3600");
  EXPECT_EQ(answer_one("DefaultTime2Retain", "20", mine), "10");
  EXPECT_EQ(answer_one("MaxConnections", "65535", mine), "1");
  EXPECT_EQ(answer_one("ErrorRecoveryLevel", "2", mine), "0");
  EXPECT_EQ(answer_one("iSCSIProtocolLevel", "31", mine), "2");
  EXPECT_EQ(answer_one("iSCSIProtocolLevel", "1", mine), "1");
}

TEST(Negotiation, RejectsNumbersOutOfRange) {
  const std::map<std::string, std::vector<std::string>> bad{
      {"MaxConnections", {"0", "65536"}},
      {"MaxBurstLength", {"511", "16777216", "-1", "many", "", "4096,8192", "4294967808"}},
      {"FirstBurstLength", {"511", "16777216"}},
      {"MaxRecvDataSegmentLength", {"511", "16777216", "No"}},
      {"DefaultTime2Wait", {"3601"}},
      {"DefaultTime2Retain", {"3601"}},
      {"MaxOutstandingR2T", {"0", "65536", "18446744073709551617"}},
      {"ErrorRecoveryLevel", {"3"}},
      {"iSCSIProtocolLevel", {"32"}}};
  for (const auto& [key, values] : bad) {
    for (const std::string& value : values) {
      Negotiator negotiator({});
      EXPECT_EQ(answer(negotiator, {{key, value}}).value(), (Answers{{key, "Reject"}})) << key << "=" << value;
      EXPECT_EQ(negotiator.parameters(), Parameters{}) << key << "=" << value;
    }
  }
  EXPECT_EQ(answer_one("MaxBurstLength", std::string(256, '1')), "Reject");
}

TEST(Negotiation, BooleansAreAndOrOr) {
  Preferences no;
  no.immediate_data = no.initial_r2t = no.data_pdu_in_order = false;
  Preferences yes;
  yes.immediate_data = yes.initial_r2t = yes.data_pdu_in_order = true;
  EXPECT_EQ(answer_one("ImmediateData", "Yes", yes), "Yes");
  EXPECT_EQ(answer_one("ImmediateData", "Yes", no), "No");
  EXPECT_EQ(answer_one("ImmediateData", "No", yes), "No");
  EXPECT_EQ(answer_one("InitialR2T", "Yes", no), "Yes");
  EXPECT_EQ(answer_one("InitialR2T", "No", yes), "Yes");
  EXPECT_EQ(answer_one("InitialR2T", "No", no), "No");
  EXPECT_EQ(answer_one("DataPDUInOrder", "No", yes), "Yes");
  EXPECT_EQ(answer_one("DataPDUInOrder", "No", no), "No");
  EXPECT_EQ(answer_one("DataSequenceInOrder", "No"), "Yes");
  EXPECT_EQ(answer_one("InitialR2T", "1"), "Reject");
  EXPECT_EQ(answer_one("InitialR2T", "no"), "Reject");
}

TEST(Negotiation, TakesTheFirstAcceptableDigest) {
  Preferences without;
  without.accept_crc32c = false;
  EXPECT_EQ(answer_one("HeaderDigest", "CRC32C,None"), "CRC32C");
  EXPECT_EQ(answer_one("HeaderDigest", "None,CRC32C"), "None");
  EXPECT_EQ(answer_one("DataDigest", "X-com.example.sha,CRC32C"), "CRC32C");
  EXPECT_EQ(answer_one("DataDigest", "CRC32C,None", without), "None");
  EXPECT_EQ(answer_one("DataDigest", "CRC32C", without), "Reject");
  EXPECT_EQ(answer_one("DataDigest", "MD5"), "Reject");

  Negotiator negotiator({});
  ASSERT_TRUE(answer(negotiator, {{"HeaderDigest", "CRC32C"}, {"DataDigest", "None"}}));
  EXPECT_TRUE(negotiator.parameters().header_digest);
  EXPECT_FALSE(negotiator.parameters().data_digest);
}

TEST(Negotiation, TaskReporting) {
  Negotiator negotiator({});
  EXPECT_EQ(answer(negotiator, {{"TaskReporting", "FastAbort,ResponseFence,RFC3720"}})->at("TaskReporting"),
            "ResponseFence");
  EXPECT_EQ(negotiator.parameters().task_reporting, TaskReporting::kResponseFence);
  EXPECT_EQ(answer_one("TaskReporting", "RFC3720,ResponseFence"), "RFC3720");
  EXPECT_EQ(answer_one("TaskReporting", "FastAbort"), "Reject");
}

TEST(Negotiation, FirstBurstNeverExceedsMaxBurst) {
  Negotiator before({});
  EXPECT_EQ(answer(before, {{"FirstBurstLength", "65536"}, {"MaxBurstLength", "4096"}}).value(),
            (Answers{{"FirstBurstLength", "4096"}, {"MaxBurstLength", "4096"}}));
  EXPECT_EQ(before.parameters().first_burst_length, 4096u);

  Negotiator only_max({});
  ASSERT_TRUE(answer(only_max, {{"MaxBurstLength", "1024"}}));
  EXPECT_EQ(only_max.parameters().first_burst_length, 1024u) << "the default of 64 KiB is above it";

  Negotiator later({});
  EXPECT_EQ(answer(later, {{"FirstBurstLength", "65536"}})->at("FirstBurstLength"), "65536");
  ASSERT_TRUE(answer(later, {{"MaxBurstLength", "512"}}));
  EXPECT_EQ(later.parameters().first_burst_length, 512u);
}

TEST(Negotiation, ObsoleteKeysAreNotNotUnderstood) {
  EXPECT_EQ(answer_one("IFMarker", "Yes"), "No");
  EXPECT_EQ(answer_one("OFMarker", "No"), "No");
  EXPECT_EQ(answer_one("OFMarker", "maybe"), "Reject");
  EXPECT_EQ(answer_one("IFMarkInt", "2048~8192"), "Reject");
  EXPECT_EQ(answer_one("OFMarkInt", "2048"), "Reject");
}

TEST(Negotiation, UnknownKeysAreNotUnderstood) {
  for (const char* key : {"X-com.example.key", "X#NodeArchitecture", "RDMAExtensions", "TargetRecvDataSegmentLength",
                          "iSERHelloRequired", "NoSuchKey"}) {
    EXPECT_EQ(answer_one(key, "Yes"), "NotUnderstood") << key;
  }
}

// They answer something, so an answer to them could go back and forth for ever.
TEST(Negotiation, AnswersAreNotAnswered) {
  Negotiator negotiator({});
  EXPECT_TRUE(answer(negotiator, {{"TargetPortalGroupTag", "NotUnderstood"},
                                  {"NoSuchKey", "NotUnderstood"},
                                  {"MaxRecvDataSegmentLength", "Reject"},
                                  {"HeaderDigest", "Irrelevant"}})
                  ->empty());
  EXPECT_EQ(answer(negotiator, {{"HeaderDigest", "CRC32C"}})->at("HeaderDigest"), "CRC32C");
}

TEST(Negotiation, KeysOutOfPlaceAreRejected) {
  Negotiator negotiator({});
  EXPECT_EQ(answer(negotiator, {{"TargetAlias", "x"},
                                {"TargetAddress", "x"},
                                {"TargetPortalGroupTag", "1"},
                                {"AuthMethod", "None"},
                                {"CHAP_A", "5"},
                                {"SendTargets", "All"}})
                .value(),
            (Answers{{"TargetAlias", "Reject"},
                     {"TargetAddress", "Reject"},
                     {"TargetPortalGroupTag", "Reject"},
                     {"AuthMethod", "Reject"},
                     {"CHAP_A", "Reject"},
                     {"SendTargets", "Reject"}}));
  EXPECT_TRUE(answer(negotiator, {{"InitiatorName", "iqn.a"}, {"SessionType", "Normal"}})->empty());
}

TEST(Negotiation, DiscoverySessionsHaveNoData) {
  Negotiator negotiator({});
  negotiator.set_discovery(true);
  const auto answers = answer(negotiator, kLibiscsi);
  ASSERT_TRUE(answers);
  EXPECT_EQ(answers->at("MaxBurstLength"), "Irrelevant");
  EXPECT_EQ(answers->at("InitialR2T"), "Irrelevant");
  EXPECT_EQ(answers->at("HeaderDigest"), "None");
  EXPECT_EQ(answers->at("ErrorRecoveryLevel"), "0");
  EXPECT_EQ(negotiator.parameters().peer_max_recv_data_segment_length, 262144u);
  EXPECT_TRUE(negotiator.parameters().initial_r2t);
}

TEST(Negotiation, FurtherConnectionsLeaveTheSessionAlone) {
  Negotiator negotiator({});
  negotiator.set_leading(false);
  const auto answers = answer(negotiator, kLibiscsi);
  ASSERT_TRUE(answers);
  EXPECT_EQ(answers->at("MaxBurstLength"), "Reject");
  EXPECT_EQ(answers->at("HeaderDigest"), "None");
  EXPECT_EQ(negotiator.parameters().max_burst_length, kDefaultMaxBurstLength);
  EXPECT_EQ(negotiator.parameters().peer_max_recv_data_segment_length, 262144u);
}

TEST(Negotiation, NegotiatingTwiceIsAnError) {
  Negotiator negotiator({});
  ASSERT_TRUE(answer(negotiator, {{"HeaderDigest", "None"}}));
  EXPECT_FALSE(answer(negotiator, {{"HeaderDigest", "CRC32C"}}));

  Negotiator same({});
  ASSERT_TRUE(answer(same, {{"HeaderDigest", "None"}}));
  EXPECT_FALSE(answer(same, {{"HeaderDigest", "None"}}));

  Negotiator rejected({});
  ASSERT_TRUE(answer(rejected, {{"HeaderDigest", "SHA"}}));
  EXPECT_FALSE(answer(rejected, {{"HeaderDigest", "None"}}));
}

TEST(Negotiation, RepeatingWhatWasSaidInTheSecurityStageIsNone) {
  Negotiator negotiator({});
  EXPECT_EQ(answer(negotiator, {{"HeaderDigest", "CRC32C"}, {"MaxRecvDataSegmentLength", "4096"}}, kSecurity).value(),
            (Answers{{"HeaderDigest", "CRC32C"}}));
  EXPECT_EQ(answer(negotiator, {{"HeaderDigest", "CRC32C"}, {"MaxRecvDataSegmentLength", "4096"}}).value(),
            (Answers{{"HeaderDigest", "CRC32C"}}));
  EXPECT_FALSE(answer(negotiator, {{"MaxRecvDataSegmentLength", "8192"}}));
}

TEST(Negotiation, FullFeaturePhaseTakesOnlyDeclarations) {
  Negotiator negotiator({});
  ASSERT_TRUE(answer(negotiator, kLibiscsi));
  EXPECT_EQ(answer(negotiator,
                   {{"MaxRecvDataSegmentLength", "512"},
                    {"InitiatorAlias", "new"},
                    {"HeaderDigest", "CRC32C"},
                    {"MaxBurstLength", "512"},
                    {"InitiatorName", "iqn.b"},
                    {"SessionType", "Discovery"}},
                   kFullFeature)
                .value(),
            (Answers{{"HeaderDigest", "Reject"},
                     {"MaxBurstLength", "Reject"},
                     {"InitiatorName", "Reject"},
                     {"SessionType", "Reject"}}));
  ASSERT_TRUE(answer(negotiator, {{"MaxRecvDataSegmentLength", "1024"}}, kFullFeature));
  EXPECT_EQ(negotiator.parameters().peer_max_recv_data_segment_length, 1024u);
  EXPECT_EQ(negotiator.parameters().max_burst_length, 262144u);
}

TEST(Negotiation, DeclaresOnce) {
  Preferences mine;
  mine.max_recv_data_segment_length = 65536;
  Negotiator negotiator(mine);
  TextWriter text;
  negotiator.declare(text);
  negotiator.declare(text);
  EXPECT_EQ(as_text(text.next_segment(1000)), std::string_view("MaxRecvDataSegmentLength=65536\0", 31));
  EXPECT_EQ(negotiator.parameters().our_max_recv_data_segment_length, 65536u);
}

}  // namespace
}  // namespace peerlane::iscsi
