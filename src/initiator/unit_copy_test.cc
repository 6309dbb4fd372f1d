#include "initiator/unit_copy.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "initiator/lun.h"
#include "initiator/session.h"
#include "initiator/testing/copying_target.h"
#include "io/testing.h"
#include "scsi/extended_copy.h"

namespace peerlane::initiator {
namespace {

using namespace std::chrono_literals;
using scsi::OperationCode;
using testing::StandInTarget;
using Answer = StandInTarget::Answer;
using testing::kSourceNaa;

constexpr std::uint64_t kMiB = 1u << 20;

class UnitCopyTest : public testing::CopyingTargetTest {
 public:
  using Script = io::Task<void> (*)(UnitCopyTest&);
  void play(Script script) {
    CopyingTargetTest::play([this, script] { return script(*this); });
  }
};

// --- What is offered ---

io::Task<void> expect_an_offer(UnitCopyTest& test) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return;
  EXPECT_EQ(512U, (*offered)->offer().unit);
  // Three segments, of whole MiB as many as 65535 blocks have room for.
  EXPECT_EQ(3U * 31 * 1048576, (*offered)->offer().most);
  EXPECT_EQ("within the target iqn.2026-11.dev.peerlane:target by EXTENDED COPY", (*offered)->place());
  EXPECT_EQ("", (*offered)->offer().way);
  EXPECT_EQ(1U, test.probes);
  EXPECT_EQ(0U, test.copies.size());
}
TEST_F(UnitCopyTest, AnOfferKeepsToTheTargetsLimits) {
  play(expect_an_offer);
}

io::Task<void> expect_a_small_offer(UnitCopyTest& test) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return;
  EXPECT_EQ(65536U, (*offered)->offer().unit);
  EXPECT_EQ(196608U, (*offered)->offer().most);
}
TEST_F(UnitCopyTest, SegmentsAreAsShortAndAsCoarseAsTheTargetSays) {
  limits->max_segment_bytes = 100'000;
  limits->data_granularity = 16;
  play(expect_a_small_offer);
}

io::Task<void> expect_a_refusal(UnitCopyTest& test) {
  const auto offered = co_await test.offer();
  EXPECT_FALSE(offered);
  if (offered) co_return;
  EXPECT_EQ(ENOTSUP, offered.error().code) << offered.error().text();
}
io::Task<void> expect_an_offer_of_two_segments(UnitCopyTest& test) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return;
  EXPECT_EQ(62 * kMiB, (*offered)->offer().most);
}
TEST_F(UnitCopyTest, NoMoreThanTheSegmentsThatTheTargetTakes) {
  limits->max_segments = 2;
  play(expect_an_offer_of_two_segments);
}
TEST_F(UnitCopyTest, NoMoreThanTheBytesOfDescriptorsThatTheTargetTakes) {
  limits->max_descriptor_bytes = 64 + 3 * 28 - 1;
  play(expect_an_offer_of_two_segments);
}
TEST_F(UnitCopyTest, WithoutTheBitNothingIsAskedFor) {
  third_party_copy = false;
  play(expect_a_refusal);
  EXPECT_EQ(0U, target.count(OperationCode::kThirdPartyCopyIn));
}
TEST_F(UnitCopyTest, ADiskWithoutANameCannotBeNamed) {
  named = false;
  play(expect_a_refusal);
  EXPECT_EQ(0U, target.count(OperationCode::kThirdPartyCopyOut));
}
TEST_F(UnitCopyTest, WithoutLimitsNothingIsSent) {
  limits.reset();
  play(expect_a_refusal);
  EXPECT_EQ(0U, target.count(OperationCode::kThirdPartyCopyOut));
}
TEST_F(UnitCopyTest, LimitsThatLeaveNoRoom) {
  limits->max_descriptor_bytes = 64 + 27;
  play(expect_a_refusal);
}
TEST_F(UnitCopyTest, SegmentsShorterThanABlock) {
  limits->max_segment_bytes = 511;
  play(expect_a_refusal);
}
TEST_F(UnitCopyTest, WhatTheTargetRefusesIsNotOffered) {
  probe = StandInTarget::check_condition(scsi::SenseKey::kCopyAborted, scsi::sense_codes::kCopyTargetNotReachable);
  play(expect_a_refusal);
  EXPECT_EQ(1U, probes);
}

TEST_F(UnitCopyTest, ADiskElsewhereWhoseNameTheTargetHasItselfIsNotAskedFor) {
  other_target = true;
  play(expect_a_refusal);
  EXPECT_EQ(0U, target.count(OperationCode::kThirdPartyCopyOut));
}

io::Task<void> expect_an_offer_from_elsewhere(UnitCopyTest& test) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return;
  EXPECT_EQ("from the target iqn.2026-11.dev.peerlane:target:other to iqn.2026-11.dev.peerlane:target by EXTENDED COPY",
            (*offered)->place());
}
TEST_F(UnitCopyTest, AnotherTargetsDiskIsAskedForByItsName) {
  other_target = true;
  luns = {{1}};
  play(expect_an_offer_from_elsewhere);
}

io::Task<void> expect_words(UnitCopyTest& test) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return;
  EXPECT_EQ("magic", (*offered)->offer().way);
  EXPECT_EQ((std::vector<std::string>{"not faster", "not tokens: the target does not list their commands"}),
            (*offered)->offer().refusals);
  block::CopyWatch watch;
  const block::CopyRange range{.from = 0, .to = 0, .length = kMiB};
  const auto done = co_await (*offered)->copy(range, watch);
  EXPECT_TRUE(done) << done.error().text();
  const auto account = co_await (*offered)->account();
  EXPECT_TRUE(account);
  if (!account) co_return;
  EXPECT_EQ(1U, account->ways.size()) << "what was there before is not counted";
  EXPECT_EQ("magic", account->ways.at(0).name);
  EXPECT_EQ(kMiB, account->ways.at(0).bytes);
  EXPECT_EQ(0U, account->memory_bytes);
  EXPECT_EQ("magic hands", account->last);
}
TEST_F(UnitCopyTest, PeerlanesTargetsTellWhatTheyDo) {
  vendor = "PEERLANE";
  play(expect_words);
}

// --- What is sent ---

io::Task<Result<void>> copy(UnitCopyTest& test, block::CopyRange range, block::CopyWatch& watch) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return std::unexpected(offered.error());
  auto done = co_await (*offered)->copy(range, watch);
  co_return done;
}

io::Task<void> copy_two_segments(UnitCopyTest& test) {
  block::CopyWatch watch;
  const auto done = co_await copy(test, {.from = 512, .to = 2 * kMiB, .length = 31 * kMiB + 512}, watch);
  EXPECT_TRUE(done) << done.error().text();
}
TEST_F(UnitCopyTest, BlocksInSegments) {
  play(copy_two_segments);
  ASSERT_EQ(1U, copies.size());
  const scsi::ExtendedCopy& list = copies[0];
  ASSERT_EQ(2U, list.cscds.size());
  EXPECT_EQ(scsi::naa_designator(kSourceNaa), std::get<scsi::Designator>(list.cscds[0].unit));
  EXPECT_EQ(scsi::naa_designator(kSourceNaa + 1), std::get<scsi::Designator>(list.cscds[1].unit));
  EXPECT_EQ(512U, list.cscds[0].block_length);
  ASSERT_EQ(2U, list.segments.size());
  scsi::BlocksSegment first;
  first.destination = 1;
  first.blocks = 31 * 2048;
  first.source_lba = {1};
  first.destination_lba = {4096};
  EXPECT_EQ(first, std::get<scsi::BlocksSegment>(list.segments[0]));
  scsi::BlocksSegment second = first;
  second.blocks = 1;
  second.source_lba = {1 + 31 * 2048};
  second.destination_lba = {4096 + 31 * 2048};
  EXPECT_EQ(second, std::get<scsi::BlocksSegment>(list.segments[1]));
}

TEST_F(UnitCopyTest, OneSegmentOfBytesWhereTheTargetHasThat) {
  lid4 = true;
  limits->descriptor_types = {scsi::kBlockToBlock, scsi::kBlockOffsetToBlockOffset, scsi::kIdentificationCscd};
  play(copy_two_segments);
  ASSERT_EQ(1U, copies.size());
  ASSERT_EQ(1U, copies[0].segments.size());
  const auto& segment = std::get<scsi::BytesSegment>(copies[0].segments[0]);
  EXPECT_EQ(31 * kMiB + 512, segment.bytes);
  EXPECT_EQ(scsi::Lba{1}, segment.source_lba);
  EXPECT_EQ(scsi::Lba{4096}, segment.destination_lba);
  EXPECT_EQ(0U, segment.source_offset);
}

// --- How it may end ---

constexpr block::CopyRange kRange{.from = 0, .to = 0, .length = kMiB};

io::Task<void> expect_code(UnitCopyTest& test, int code) {
  block::CopyWatch watch;
  const auto done = co_await copy(test, kRange, watch);
  EXPECT_EQ(code, done ? 0 : done.error().code) << done.error().text();
}
TEST_F(UnitCopyTest, RefusalsLeaveItToOtherWays) {
  const auto play_with = [this](Answer answer) {
    answers = {std::move(answer)};
    copies.clear();
    play([](UnitCopyTest& test) { return expect_code(test, ENOTSUP); });
    EXPECT_EQ(1U, copies.size());
  };
  play_with(StandInTarget::check_condition(scsi::SenseKey::kCopyAborted, scsi::sense_codes::kThirdPartyDeviceFailure));
}
TEST_F(UnitCopyTest, SoDoesAFailureWithoutAWord) {
  answers = {{.status = scsi::Status::kCheckCondition}};
  play([](UnitCopyTest& test) { return expect_code(test, ENOTSUP); });
}
TEST_F(UnitCopyTest, OtherErrorsAreThoseOfAWrite) {
  answers = {StandInTarget::check_condition(scsi::SenseKey::kDataProtect, scsi::sense_codes::kSpaceAllocationFailed)};
  play([](UnitCopyTest& test) { return expect_code(test, ENOSPC); });
  EXPECT_EQ(1U, copies.size());
}
TEST_F(UnitCopyTest, ALostConnectionMeansOnceMoreUnderANameOfItsOwn) {
  answers = {{.kind = Answer::Kind::kCut}};
  play([](UnitCopyTest& test) { return expect_code(test, 0); });
  ASSERT_EQ(2U, copies.size());
  EXPECT_NE(copies[0].list_identifier, copies[1].list_identifier);
}
TEST_F(UnitCopyTest, ButNotForEver) {
  answers.assign(10, {.kind = Answer::Kind::kCut});
  play([](UnitCopyTest& test) { return expect_code(test, ENOTSUP); });
  EXPECT_EQ(limits::kThirdPartyTries, copies.size());
}

/// Cancels when the target has told how far it is, or has refused to.
io::Task<void> cancel_soon(UnitCopyTest& test, block::CopyWatch& watch) {
  co_await io::testing::until([&test, &watch] { return test.questions != 0 && watch.moved == test.progress; });
  co_await io::sleep(*test.reactor, 600ms);  // time for another question
  EXPECT_EQ(test.progress, watch.moved);
  watch.canceled = true;
}
io::Task<void> cancel_a_copy(UnitCopyTest& test) {
  block::CopyWatch watch;
  io::spawn(cancel_soon(test, watch));
  const auto began = io::Clock::now();
  const auto done = co_await copy(test, kRange, watch);
  EXPECT_EQ(ECANCELED, done ? 0 : done.error().code);
  EXPECT_LT(io::Clock::now() - began, 10s);
}
TEST_F(UnitCopyTest, ProgressIsToldAndACancelledCopyIsAborted) {
  answers = {{.kind = Answer::Kind::kSilence}};
  progress = 12345;
  play(cancel_a_copy);
  EXPECT_EQ(1U, target.aborts());
  EXPECT_EQ(1U, copies.size());
}
TEST_F(UnitCopyTest, TheSameInTheLongForm) {
  lid4 = true;
  answers = {{.kind = Answer::Kind::kSilence}};
  progress = 12345;
  play(cancel_a_copy);
  EXPECT_EQ(1U, target.aborts());
}
TEST_F(UnitCopyTest, ATargetThatDoesNotTellIsAskedOnce) {
  answers = {{.kind = Answer::Kind::kSilence}};
  play(cancel_a_copy);
  EXPECT_EQ(1U, questions);
}

}  // namespace
}  // namespace peerlane::initiator
