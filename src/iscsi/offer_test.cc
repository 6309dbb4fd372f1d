#include "iscsi/offer.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::iscsi {
namespace {

using Pairs = std::vector<KeyValue>;

class OffererTest : public ::testing::Test {
 protected:
  /// What the target's `pairs` come to after an offer on `terms`.
  Result<Parameters> settle(const Pairs& pairs, const OfferTerms& terms = {}, bool discovery = false) {
    Offerer offerer(terms, discovery);
    offerer.offer(offers);
    if (auto accepted = offerer.accept(pairs, answers); !accepted) return std::unexpected(accepted.error());
    return offerer.conclude();
  }
  int error_of(const Pairs& pairs) {
    const auto result = settle(pairs);
    return result ? 0 : result.error().code;
  }
  static std::string text(TextWriter& writer) {
    return writer.empty() ? std::string() : std::string(as_text(writer.next_segment(writer.size())));
  }

  TextWriter offers;
  TextWriter answers;
};

TEST_F(OffererTest, WhatIsAnsweredHolds) {
  const auto result = settle({{"HeaderDigest", "CRC32C"},
                              {"DataDigest", "None"},
                              {"InitialR2T", "No"},
                              {"ImmediateData", "No"},
                              {"MaxBurstLength", "262144"},
                              {"FirstBurstLength", "65536"},
                              {"MaxOutstandingR2T", "4"},
                              {"MaxRecvDataSegmentLength", "8192"},
                              {"DefaultTime2Wait", "5"},
                              {"ErrorRecoveryLevel", "0"}});
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->header_digest);
  EXPECT_FALSE(result->data_digest);
  EXPECT_FALSE(result->initial_r2t);
  EXPECT_FALSE(result->immediate_data);
  EXPECT_EQ(result->max_burst_length, 262144u);
  EXPECT_EQ(result->first_burst_length, 65536u);
  EXPECT_EQ(result->max_outstanding_r2t, 4u);
  EXPECT_EQ(result->peer_max_recv_data_segment_length, 8192u);
  EXPECT_EQ(result->our_max_recv_data_segment_length, limits::kMaxRecvDataSegmentLength);
  EXPECT_EQ(result->default_time2wait, 5u);
}

TEST_F(OffererTest, WhatIsNotAnsweredKeepsItsDefault) {
  const auto silent = settle({});
  ASSERT_TRUE(silent);
  Parameters defaults;
  defaults.our_max_recv_data_segment_length = limits::kMaxRecvDataSegmentLength;
  EXPECT_EQ(*silent, defaults);
  EXPECT_EQ(*settle({{"InitialR2T", "Irrelevant"}, {"MaxBurstLength", "Reject"}, {"HeaderDigest", "NotUnderstood"}}),
            defaults);
}

TEST_F(OffererTest, AnswersOutsideTheOfferAreRefused) {
  const Pairs wrong{{"MaxBurstLength", "2097152"},      // more than offered
                    {"MaxBurstLength", "100"},          // below its range
                    {"MaxBurstLength", "many"},         // no number
                    {"FirstBurstLength", "524288"},     // more than offered
                    {"MaxOutstandingR2T", "9"},         // more than we have room for
                    {"MaxOutstandingR2T", "0"},         // none at all
                    {"MaxConnections", "2"},            // more than offered
                    {"DefaultTime2Wait", "1"},          // a maximum: less than offered
                    {"ErrorRecoveryLevel", "1"},        // more than offered
                    {"DataPDUInOrder", "No"},           // an Or: we said Yes
                    {"DataSequenceInOrder", "No"},      // likewise
                    {"InitialR2T", "perhaps"},          // no boolean
                    {"HeaderDigest", "CRC32"},          // no such digest
                    {"DataDigest", "None,CRC32C"},      // a list is no answer
                    {"MaxRecvDataSegmentLength", "0"},  // below its range
                    {"MaxRecvDataSegmentLength", "-1"}};
  for (const KeyValue& pair : wrong) EXPECT_EQ(error_of({pair}), EPROTO) << pair.key << '=' << pair.value;
}

TEST_F(OffererTest, ImmediateDataIsNotGrantedWhereItWasNotOffered) {
  OfferTerms terms;
  terms.preferences.immediate_data = false;
  terms.preferences.initial_r2t = true;
  EXPECT_FALSE(settle({{"ImmediateData", "Yes"}}, terms));
  EXPECT_FALSE(settle({{"InitialR2T", "No"}}, terms));
}

TEST_F(OffererTest, NothingIsAnsweredTwice) {
  EXPECT_EQ(error_of({{"MaxBurstLength", "262144"}, {"MaxBurstLength", "262144"}}), EPROTO);
  EXPECT_EQ(error_of({{"MaxRecvDataSegmentLength", "8192"}, {"MaxRecvDataSegmentLength", "16384"}}), EPROTO);
}

TEST_F(OffererTest, RequiredDigestsAreRequired) {
  OfferTerms terms;
  terms.header_digest = DigestOffer::kRequired;
  EXPECT_TRUE(settle({{"HeaderDigest", "CRC32C"}}, terms));
  EXPECT_FALSE(settle({{"HeaderDigest", "None"}}, terms));
  EXPECT_FALSE(settle({{"HeaderDigest", "Reject"}}, terms));
  EXPECT_FALSE(settle({}, terms));
  terms.header_digest = DigestOffer::kNone;
  EXPECT_FALSE(settle({{"HeaderDigest", "CRC32C"}}, terms));
}

TEST_F(OffererTest, FirstBurstNeverExceedsMaxBurst) {
  const auto result = settle({{"MaxBurstLength", "65536"}, {"FirstBurstLength", "262144"}});
  ASSERT_TRUE(result);
  EXPECT_EQ(result->first_burst_length, 65536u);
}

TEST_F(OffererTest, WhatTheTargetOffersByItselfIsAnswered) {
  ASSERT_TRUE(settle({{"X-com.example.key", "1"}, {"TaskReporting", "FastAbort"}, {"TargetAlias", "a disk"}}));
  EXPECT_EQ(text(answers), std::string("X-com.example.key=NotUnderstood\0TaskReporting=Reject\0", 53));
}

TEST_F(OffererTest, ADiscoverySessionOffersNoKeysOfData) {
  ASSERT_TRUE(settle({}, {}, true));
  const std::string offered = text(offers);
  EXPECT_NE(offered.find("HeaderDigest=None,CRC32C"), std::string::npos);
  EXPECT_EQ(offered.find("MaxBurstLength"), std::string::npos);
  EXPECT_EQ(offered.find("InitialR2T"), std::string::npos);
}

}  // namespace
}  // namespace peerlane::iscsi
