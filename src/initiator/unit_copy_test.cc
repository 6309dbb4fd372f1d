#include "initiator/unit_copy.h"

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "initiator/lun.h"
#include "initiator/session.h"
#include "initiator/testing/stand_in_target.h"
#include "io/testing.h"
#include "scsi/copy_log_page.h"
#include "scsi/copy_operating_parameters.h"
#include "scsi/copy_results.h"
#include "scsi/extended_copy.h"
#include "scsi/third_party_copy.h"
#include "scsi/third_party_copy_page.h"

namespace peerlane::initiator {
namespace {

using namespace std::chrono_literals;
using scsi::CopyForm;
using scsi::OperationCode;
using testing::StandInTarget;
using Answer = StandInTarget::Answer;
using Offered = Result<std::shared_ptr<block::OffloadedCopy>>;

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kSourceNaa = 0x3000'0000'0000'0001;

/// A target that copies between its LUNs 0 and 1, and what it was asked for.
class UnitCopyTest : public ::testing::Test {
 public:
  std::unique_ptr<io::Reactor> reactor = std::move(*io::Reactor::create());
  StandInTarget target{*reactor};
  std::unique_ptr<Lun> source;
  std::unique_ptr<Lun> destination;

  // --- What the target is ---

  bool third_party_copy = true;
  bool lid4 = false;
  bool named = true;
  std::string vendor = "STANDIN ";
  bool other_target = false;                 // the source is reached under another name
  std::vector<scsi::Lun> luns = {{0}, {1}};  // of the destination's target
  std::optional<scsi::CopyOperatingParameters> limits =
      scsi::CopyOperatingParameters{.no_list_identifier = false,
                                    .max_cscds = 2,
                                    .max_segments = 3,
                                    .max_descriptor_bytes = 1024,
                                    .max_segment_bytes = 0,
                                    .max_inline_bytes = 0,
                                    .held_data_bytes = 0,
                                    .max_stream_transfer = 0,
                                    .total_copies = 4,
                                    .concurrent_copies = 4,
                                    .data_granularity = 9,
                                    .inline_granularity = 0,
                                    .held_granularity = 0,
                                    .descriptor_types = {scsi::kBlockToBlock, scsi::kIdentificationCscd}};
  std::vector<Answer> answers = {};  // to EXTENDED COPY, of those that copy anything; then GOOD
  Answer probe = {};                 // to one that copies nothing
  std::uint64_t progress = 0;        // bytes that a copy has come so far

  // --- What it has seen ---

  std::vector<scsi::ExtendedCopy> copies;
  unsigned probes = 0;
  unsigned questions = 0;  // RECEIVE COPY STATUS

  using Script = io::Task<void> (*)(UnitCopyTest&);
  void play(Script script) {
    target.on_command = [this](const iscsi::ScsiCommand& command) { return answer(command); };
    io::testing::run(*reactor, open_play_close(script));
  }

  io::Task<Offered> offer() { return destination->offer_copy_from(*source); }

 private:
  io::Task<void> open_play_close(Script script) {
    auto opening = Session::open(*reactor, target.options());
    auto session = co_await std::move(opening);
    EXPECT_TRUE(session) << session.error().text();
    std::shared_ptr<Session> shared = std::move(*session);
    std::shared_ptr<Session> other = shared;
    if (other_target) {
      SessionOptions options = target.options();
      options.login.target_name += ":other";
      auto second_opening = Session::open(*reactor, options);
      auto second_session = co_await std::move(second_opening);
      EXPECT_TRUE(second_session) << second_session.error().text();
      other = std::move(*second_session);
    }
    auto first = co_await Lun::open(other, 0, LunOptions());
    source = std::move(*first);
    other.reset();
    auto second = co_await Lun::open(shared, 1, LunOptions());
    destination = std::move(*second);
    shared.reset();
    co_await script(*this);
    auto closed = co_await source->close();
    closed = co_await destination->close();
    co_await target.close();
    source.reset();
    destination.reset();
  }

  std::optional<Answer> answer(const iscsi::ScsiCommand& command) {
    switch (static_cast<OperationCode>(command.cdb[0])) {
      case OperationCode::kInquiry:
        return inquiry(command);
      case OperationCode::kThirdPartyCopyOut:
        return copy_out(command);
      case OperationCode::kThirdPartyCopyIn:
        return copy_in(command);
      case OperationCode::kLogSense:
        return log_sense(command);
      case OperationCode::kReportLuns: {
        std::vector<std::uint8_t> data(256);
        data.resize(scsi::encode_lun_list(luns, {}, data));
        return Answer{.data = std::move(data)};
      }
      default:
        return std::nullopt;
    }
  }

  std::optional<Answer> inquiry(const iscsi::ScsiCommand& command) const {
    std::vector<std::uint8_t> data(4096);
    if ((command.cdb[1] & 1) == 0) {
      scsi::StandardInquiry standard;
      standard.vendor = vendor;
      standard.third_party_copy = third_party_copy;
      data.resize(scsi::encode_inquiry(standard, data));
      return Answer{.data = std::move(data)};
    }
    const auto page = static_cast<scsi::VpdPage>(command.cdb[2]);
    if (page == scsi::VpdPage::kSupportedPages) {
      constexpr std::array kPages{scsi::VpdPage::kSupportedPages, scsi::VpdPage::kDeviceIdentification};
      data.resize(scsi::encode_supported_pages({}, kPages, data));
    } else if (page == scsi::VpdPage::kDeviceIdentification && named) {
      const std::uint64_t lun = command.lun.value >> 48 & 0xff;
      const std::array designators{scsi::naa_designator(kSourceNaa + lun)};
      data.resize(scsi::encode_device_identification({}, designators, data));
    } else if (page == scsi::VpdPage::kThirdPartyCopy && lid4) {
      const scsi::ThirdPartyCopyPage copy{.commands = {{0x83, {0x00, 0x01}}}};
      data.resize(scsi::encode_third_party_copy({}, copy, data));
    } else {
      return StandInTarget::check_condition(scsi::SenseKey::kIllegalRequest, scsi::sense_codes::kInvalidFieldInCdb);
    }
    return Answer{.data = std::move(data)};
  }

  Answer copy_out(const iscsi::ScsiCommand& command) {
    const auto cdb = scsi::decode_copy_cdb(command.cdb);
    EXPECT_TRUE(cdb);
    EXPECT_EQ(cdb->service_action, lid4 ? scsi::kExtendedCopyLid4 : scsi::kExtendedCopyLid1);
    EXPECT_EQ(cdb->length, target.data().size());
    auto list = scsi::decode_extended_copy(lid4 ? CopyForm::kLid4 : CopyForm::kLid1, target.data(), *limits);
    EXPECT_TRUE(list) << "not within the limits that were stated";
    if (!list) return {};
    if (list->segments.size() == 1 && bytes_of(list->segments[0]) == 0) {
      ++probes;
      return probe;
    }
    copies.push_back(std::move(*list));
    if (copies.size() > answers.size()) return {};
    return answers[copies.size() - 1];
  }

  static std::uint64_t bytes_of(const scsi::CopySegment& segment) {
    if (const auto* const blocks = std::get_if<scsi::BlocksSegment>(&segment)) return blocks->blocks * 512ull;
    return std::get<scsi::BytesSegment>(segment).bytes;
  }

  Answer copy_in(const iscsi::ScsiCommand& command) {
    const auto cdb = scsi::decode_copy_cdb(command.cdb);
    const Answer unknown =
        StandInTarget::check_condition(scsi::SenseKey::kIllegalRequest, scsi::sense_codes::kInvalidOperationCode);
    if (cdb->service_action == scsi::kReceiveCopyOperatingParameters) {
      return limits ? Answer{.data = scsi::encode_copy_operating_parameters(*limits)} : unknown;
    }
    ++questions;
    EXPECT_EQ(cdb->list_identifier, copies.back().list_identifier);
    if (progress == 0) return unknown;
    if (lid4) return {.data = scsi::encode_copy_status(scsi::CopyStatus{.count = progress})};
    scsi::CopyStatusLid1 status;
    scsi::set_transferred(status, progress);
    return {.data = scsi::encode_copy_status(status)};
  }

  std::optional<Answer> log_sense(const iscsi::ScsiCommand& command) const {
    EXPECT_EQ(vendor, "PEERLANE") << "nobody else's page 30h is asked for";
    EXPECT_EQ(command.cdb[2], 0x40 | 0x36);
    const std::uint16_t first = get_be16(command.cdb, 5);
    std::vector<std::uint8_t> data(1024);
    scsi::LogPageWriter page(scsi::kCopyLogPage, first, data);
    const auto done = static_cast<std::uint64_t>(copies.size());
    scsi::put_copy_log({.ways = {{"magic", 100 + done * kMiB}, {"old", 7}}, .memory_bytes = 5, .last = "magic hands"},
                       page);
    if (first == scsi::kCopyForecasts) scsi::put_copy_forecast({}, {.way = "magic", .refusals = {"not faster"}}, page);
    data.resize(page.finish());
    return Answer{.data = std::move(data)};
  }
};

// --- What is offered ---

io::Task<void> expect_an_offer(UnitCopyTest& test) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return;
  EXPECT_EQ(512U, (*offered)->offer().unit);
  // Two of the three segments, of whole MiB as many as 65535 blocks have room for, and a part of the third.
  EXPECT_EQ(limits::kThirdPartyBytes, (*offered)->offer().most);
  EXPECT_EQ("within the target iqn.2026-11.dev.peerlane:target", (*offered)->offer().place);
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
  EXPECT_EQ("from the target iqn.2026-11.dev.peerlane:target:other to iqn.2026-11.dev.peerlane:target",
            (*offered)->offer().place);
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
  EXPECT_EQ(std::vector<std::string>{"not faster"}, (*offered)->offer().refusals);
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
  for (int i = 0; i < 1000 && test.questions == 0; ++i) co_await io::sleep(*test.reactor, 5ms);
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
