// For tests: a target that says that it copies between its LUNs 0 and 1, by EXTENDED COPY and by what a test adds, and
// what it was asked for.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "initiator/lun.h"
#include "initiator/session.h"
#include "initiator/testing/stand_in_target.h"
#include "initiator/unit_copy.h"
#include "io/testing.h"
#include "scsi/copy_log_page.h"
#include "scsi/copy_operating_parameters.h"
#include "scsi/copy_results.h"
#include "scsi/extended_copy.h"
#include "scsi/third_party_copy.h"
#include "scsi/third_party_copy_page.h"

namespace peerlane::initiator::testing {

inline constexpr std::uint64_t kSourceNaa = 0x3000'0000'0000'0001;  // the destination's is the next one

class CopyingTargetTest : public ::testing::Test {
 public:
  using Answer = StandInTarget::Answer;
  using Offered = Result<std::shared_ptr<block::OffloadedCopy>>;

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

  void play(std::function<io::Task<void>()> script) {
    target.on_command = [this](const iscsi::ScsiCommand& command) { return answer(command); };
    peerlane::io::testing::run(*reactor, open_play_close(std::move(script)));
  }

  io::Task<Offered> offer() { return destination->offer_copy_from(*source); }

  static Answer unknown_command() {
    return StandInTarget::check_condition(scsi::SenseKey::kIllegalRequest, scsi::sense_codes::kInvalidOperationCode);
  }

 protected:
  /// Page 8Fh, if there is one.
  virtual std::optional<scsi::ThirdPartyCopyPage> page() const {
    if (!lid4) return std::nullopt;
    return scsi::ThirdPartyCopyPage{.commands = {{0x83, {0x00, 0x01}}}};
  }
  /// Other commands of THIRD-PARTY COPY OUT and IN than those of EXTENDED COPY.
  virtual std::optional<Answer> other_copy_command(const scsi::CopyCdb&) { return std::nullopt; }

 private:
  io::Task<void> open_play_close(std::function<io::Task<void>()> script) {
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
    co_await script();
    auto closed = co_await source->close();
    closed = co_await destination->close();
    co_await target.close();
    source.reset();
    destination.reset();
  }

  std::optional<Answer> answer(const iscsi::ScsiCommand& command) {
    switch (static_cast<scsi::OperationCode>(command.cdb[0])) {
      case scsi::OperationCode::kInquiry:
        return inquiry(command);
      case scsi::OperationCode::kThirdPartyCopyOut:
        return copy_out(command);
      case scsi::OperationCode::kThirdPartyCopyIn:
        return copy_in(command);
      case scsi::OperationCode::kLogSense:
        return log_sense(command);
      case scsi::OperationCode::kReportLuns: {
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
    const auto asked = static_cast<scsi::VpdPage>(command.cdb[2]);
    if (asked == scsi::VpdPage::kSupportedPages) {
      constexpr std::array kPages{scsi::VpdPage::kSupportedPages, scsi::VpdPage::kDeviceIdentification};
      data.resize(scsi::encode_supported_pages({}, kPages, data));
    } else if (asked == scsi::VpdPage::kDeviceIdentification && named) {
      const std::uint64_t lun = command.lun.value >> 48 & 0xff;
      const std::array designators{scsi::naa_designator(kSourceNaa + lun)};
      data.resize(scsi::encode_device_identification({}, designators, data));
    } else if (const auto own = page(); asked == scsi::VpdPage::kThirdPartyCopy && own) {
      data.resize(scsi::encode_third_party_copy({}, *own, data));
    } else {
      return StandInTarget::check_condition(scsi::SenseKey::kIllegalRequest, scsi::sense_codes::kInvalidFieldInCdb);
    }
    return Answer{.data = std::move(data)};
  }

  Answer copy_out(const iscsi::ScsiCommand& command) {
    const auto cdb = scsi::decode_copy_cdb(command.cdb);
    EXPECT_TRUE(cdb);
    EXPECT_EQ(cdb->length, target.data().size());
    if (auto answer = other_copy_command(*cdb)) return std::move(*answer);
    EXPECT_EQ(cdb->service_action, lid4 ? scsi::kExtendedCopyLid4 : scsi::kExtendedCopyLid1);
    auto list =
        scsi::decode_extended_copy(lid4 ? scsi::CopyForm::kLid4 : scsi::CopyForm::kLid1, target.data(), *limits);
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
    if (auto answer = other_copy_command(*cdb)) return std::move(*answer);
    if (cdb->service_action == scsi::kReceiveCopyOperatingParameters) {
      return limits ? Answer{.data = scsi::encode_copy_operating_parameters(*limits)} : unknown_command();
    }
    ++questions;
    EXPECT_EQ(cdb->list_identifier, copies.back().list_identifier);
    if (progress == 0) return unknown_command();
    if (lid4) return {.data = scsi::encode_copy_status(scsi::CopyStatus{.count = progress})};
    scsi::CopyStatusLid1 status;
    scsi::set_transferred(status, progress);
    return {.data = scsi::encode_copy_status(status)};
  }

  std::optional<Answer> log_sense(const iscsi::ScsiCommand& command) const {
    EXPECT_EQ(vendor, "PEERLANE") << "nobody else's page 36h is asked for";
    EXPECT_EQ(command.cdb[2], 0x40 | 0x36);
    const std::uint16_t first = get_be16(command.cdb, 5);
    std::vector<std::uint8_t> data(1024);
    scsi::LogPageWriter page(scsi::kCopyLogPage, first, data);
    const auto done = static_cast<std::uint64_t>(copies.size());
    scsi::put_copy_log({.ways = {{"magic", 100 + (done << 20)}, {"old", 7}}, .memory_bytes = 5, .last = "magic hands"},
                       page);
    if (first == scsi::kCopyForecasts) scsi::put_copy_forecast({}, {.way = "magic", .refusals = {"not faster"}}, page);
    data.resize(page.finish());
    return Answer{.data = std::move(data)};
  }
};

}  // namespace peerlane::initiator::testing
