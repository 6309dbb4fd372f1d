// What comes with third-party copy: parameter lists at the target, parameter data and pages at the initiator. What is
// read keeps to the limits that it was read with, and means the same once it is written again; what is refused is
// refused with sense data that point into the list.
//
// Input: a byte that says what the rest is (Kind), a byte that is the number of descriptors or ranges allowed, the
// rest.
#include <algorithm>
#include <expected>
#include <variant>
#include <vector>

#include "harness.h"
#include "scsi/copy_results.h"
#include "scsi/extended_copy.h"
#include "scsi/rod_token.h"
#include "scsi/sense.h"
#include "scsi/third_party_copy.h"
#include "scsi/third_party_copy_page.h"
#include "scsi/token_parameters.h"

namespace {

using namespace peerlane;
using fuzz::require;

enum class Kind : std::uint8_t {
  kExtendedCopyLid1,
  kExtendedCopyLid4,
  kPopulate,
  kWrite,
  kResults,
  kPage,
  kToken,
  kCdb
};
constexpr unsigned kKinds = 8;

constexpr std::uint32_t kInlineBytes = 64;
constexpr std::uint64_t kBlocks = 1u << 20;
constexpr std::uint32_t kInactivity = 600;

void check_refusal(const scsi::Sense& sense, ByteView list) {
  const bool aborted = sense.key == scsi::SenseKey::kCopyAborted;
  require(aborted || sense.key == scsi::SenseKey::kIllegalRequest, "a refusal is ILLEGAL REQUEST or COPY ABORTED");
  require(!aborted || sense.command_specific.has_value(), "an aborted copy names the segment");
  if (!sense.field) return;
  require(!sense.field->in_cdb, "the fault is in the list");
  require(sense.field->in_segment == aborted, "a segment's pointer is into the segment");
  require(sense.field->byte < list.size(), "the pointer is into the list");
}

void check_limits(const scsi::ExtendedCopy& copy, const scsi::CopyOperatingParameters& limits) {
  require(copy.cscds.size() <= limits.max_cscds, "no more CSCD descriptors than allowed");
  require(copy.segments.size() <= limits.max_segments, "no more segment descriptors than allowed");
  require(copy.inline_data.size() <= limits.max_inline_bytes, "no more inline data than allowed");
  for (const scsi::Cscd& cscd : copy.cscds) require(limits.implements(scsi::cscd_type(cscd)), "a type that is taken");
  const auto there = [&](std::optional<std::uint16_t> id) {
    return !id || *id == scsi::kAddressedUnit || scsi::find_cscd(copy, *id) != nullptr;
  };
  for (const scsi::CopySegment& segment : copy.segments) {
    require(limits.implements(scsi::segment_type(segment)), "a type that is taken");
    const scsi::SegmentUnits units = scsi::units_of(segment);
    require(there(units.source) && there(units.destination), "every unit that is named is there");
    const auto* const data = std::get_if<scsi::InlineSegment>(&segment);
    if (data == nullptr) continue;
    require(std::uint64_t{data->offset} + data->bytes <= copy.inline_data.size(), "inline data that are there");
  }
}

void extended_copy(scsi::CopyForm form, std::uint8_t most, ByteView list) {
  const scsi::CopyOperatingParameters limits{
      .no_list_identifier = (most & 1) != 0,
      .max_cscds = most,
      .max_segments = most,
      .max_descriptor_bytes = 4096,
      .max_inline_bytes = kInlineBytes,
      .descriptor_types = {scsi::kBlockToBlock, scsi::kInlineToStream, scsi::kVerifyCscd,
                           scsi::kBlockOffsetToBlockOffset, scsi::kRegisterKey, scsi::kIdentificationCscd,
                           scsi::kIpv4Cscd, scsi::kIpv6Cscd, scsi::kIpCopyServiceCscd, scsi::kRodCscd}};
  const auto copy = scsi::decode_extended_copy(form, list, limits);
  if (!copy) return check_refusal(copy.error(), list);
  check_limits(*copy, limits);
  const std::vector<std::uint8_t> again = scsi::encode_extended_copy(*copy);
  require(again.size() <= list.size(), "what is written again is not longer");
  require(scsi::decode_extended_copy(form, again, limits) == *copy, "written again it means the same");
}

scsi::TokenLimits token_limits(std::uint8_t most) {
  return {.max_ranges = most, .max_inactivity = kInactivity, .max_blocks = kBlocks};
}

void check_ranges(const std::vector<scsi::BlockRange>& ranges, std::uint8_t most) {
  require(!ranges.empty(), "at least one range");
  require(most == 0 || ranges.size() <= most, "no more ranges than allowed");
  require(scsi::total_blocks(ranges) <= kBlocks, "no more blocks than allowed");
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const scsi::BlockRange& low = ranges[i].lba < ranges[j].lba ? ranges[i] : ranges[j];
      const scsi::BlockRange& high = ranges[i].lba < ranges[j].lba ? ranges[j] : ranges[i];
      const bool apart = low.count.value == 0 || high.count.value == 0 || !((high.lba - low.lba) < low.count);
      require(apart, "no block twice");
    }
  }
}

void populate(std::uint8_t most, ByteView list) {
  const auto parameters = scsi::decode_populate_token(list, token_limits(most));
  if (!parameters) return check_refusal(parameters.error(), list);
  check_ranges(parameters->ranges, most);
  require(parameters->inactivity_timeout <= kInactivity, "no longer time-out than allowed");
  const auto again = scsi::encode_populate_token(*parameters);
  require(scsi::decode_populate_token(again, token_limits(most)) == *parameters, "written again it means the same");
}

void write(std::uint8_t most, ByteView list) {
  const auto parameters = scsi::decode_write_using_token(list, token_limits(most));
  if (!parameters) return check_refusal(parameters.error(), list);
  check_ranges(parameters->ranges, most);
  const auto again = scsi::encode_write_using_token(*parameters);
  require(scsi::decode_write_using_token(again, token_limits(most)) == *parameters, "written again it means the same");
}

void results(ByteView data) {
  if (const auto status = scsi::decode_copy_status_lid1(data)) {
    require(scsi::decode_copy_status_lid1(scsi::encode_copy_status(*status)) == status, "a status of LID1");
  }
  const auto status = scsi::decode_copy_status(data);
  const auto made = scsi::decode_rod_token_information(data);
  require(!made || status, "tokens come with a status");
  if (status && status->sense.size() <= scsi::kMaxSenseBytes) {
    require(scsi::decode_copy_status(scsi::encode_copy_status(*status)) == status, "a status");
    if (made) {
      const auto again = scsi::encode_rod_token_information(*status, *made);
      require(scsi::decode_rod_token_information(again) == made, "tokens");
    }
    if (const auto held = scsi::decode_copy_data(data)) {
      const auto again = scsi::encode_copy_data(*status, *held);
      require(std::ranges::equal(scsi::decode_copy_data(again).value(), *held), "held data");
    }
  }
  if (const auto failure = scsi::decode_copy_failure(data)) {
    require(scsi::decode_copy_failure(scsi::encode_copy_failure(failure)) == failure, "a failure");
  }
  if (const auto tokens = scsi::decode_all_rod_tokens(data)) {
    require(scsi::decode_all_rod_tokens(scsi::encode_all_rod_tokens(*tokens)) == tokens, "all tokens");
  }
  if (const auto held = scsi::decode_held_data(data)) require(held->size() <= data.size(), "held data that are there");
  if (const auto parameters = scsi::decode_copy_operating_parameters(data)) {
    const auto again = scsi::encode_copy_operating_parameters(*parameters);
    require(scsi::decode_copy_operating_parameters(again) == parameters, "operating parameters");
  }
}

void page(ByteView bytes) {
  const auto page = scsi::decode_third_party_copy(bytes);
  if (!page) return;
  std::vector<std::uint8_t> out(scsi::kMaxVpdBytes);
  out.resize(scsi::encode_third_party_copy({}, *page, out));
  const auto again = scsi::decode_third_party_copy(out);
  require(again.has_value(), "a page that is written is one");
  require(again->token_limits == page->token_limits, "the limits of tokens come first");
}

void token(ByteView bytes) {
  const auto token = scsi::decode_rod_token(bytes);
  if (token) require(scsi::decode_rod_token(scsi::encode_rod_token(*token)) == token, "a token");
}

void cdb(ByteView bytes) {
  const auto copy = scsi::decode_copy_cdb(bytes);
  if (!copy) return;
  std::vector<std::uint8_t> out(scsi::kCopyCdbBytes);
  scsi::encode_copy_cdb(*copy, out);
  require(scsi::decode_copy_cdb(out) == copy, "a CDB");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const auto kind = static_cast<Kind>(input.byte() % kKinds);
  const std::uint8_t most = input.byte();
  const ByteView given = input.rest();
  const std::vector<std::uint8_t> rest(given.begin(), given.end());  // by itself, so that no byte past it is readable
  switch (kind) {
    case Kind::kExtendedCopyLid1:
      extended_copy(scsi::CopyForm::kLid1, most, rest);
      break;
    case Kind::kExtendedCopyLid4:
      extended_copy(scsi::CopyForm::kLid4, most, rest);
      break;
    case Kind::kPopulate:
      populate(most, rest);
      break;
    case Kind::kWrite:
      write(most, rest);
      break;
    case Kind::kResults:
      results(rest);
      break;
    case Kind::kPage:
      page(rest);
      break;
    case Kind::kToken:
      token(rest);
      break;
    case Kind::kCdb:
      cdb(rest);
      break;
  }
  return 0;
}
