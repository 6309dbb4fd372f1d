#include "initiator/extended_copy.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/limits.h"
#include "scsi/copy_operating_parameters.h"
#include "scsi/copy_results.h"
#include "scsi/extended_copy.h"
#include "scsi/vpd.h"

namespace peerlane::initiator {
namespace {

using scsi::CopyForm;
using scsi::OperationCode;

constexpr std::uint64_t kMostSegmentBlocks = 0xffff;
constexpr std::uint64_t kMostSegmentBytes = 0xffff'ffff;
constexpr unsigned kMostGranularity = 24;           // an exponent of two; a larger one is no use
constexpr std::uint32_t kMostListIdentifier = 255;  // of LID1

/// What a target takes.
struct Terms {
  CopyForm form = CopyForm::kLid1;
  std::vector<scsi::Cscd> cscds = {};  // source, destination
  std::uint32_t source_block = 512;    // bytes
  std::uint32_t destination_block = 512;
  std::uint64_t segment_bytes = 0;  // the most of one segment
  bool in_bytes = false;            // segments that count bytes instead of blocks
  std::uint64_t unit = 0;
  std::uint64_t most = 0;
};

/// A unit as a parameter list names it.
scsi::Cscd cscd_of(const Lun& lun, const scsi::Designator& designator) {
  scsi::Cscd cscd;
  cscd.unit = designator;
  std::get<scsi::Designator>(cscd.unit).protocol.reset();
  cscd.block_length = lun.facts().capacity.block_size;
  return cscd;
}

scsi::CopySegment segment_of(const Terms& terms, const block::CopyRange& range) {
  const scsi::Lba from{range.from / terms.source_block};
  const scsi::Lba to{range.to / terms.destination_block};
  if (terms.in_bytes) {
    scsi::BytesSegment segment;
    segment.destination = 1;
    segment.bytes = static_cast<std::uint32_t>(range.length);
    segment.source_lba = from;
    segment.destination_lba = to;
    return segment;
  }
  scsi::BlocksSegment segment;
  segment.destination = 1;
  segment.blocks = static_cast<std::uint16_t>(range.length / terms.source_block);
  segment.source_lba = from;
  segment.destination_lba = to;
  return segment;
}

scsi::ExtendedCopy list_of(const Terms& terms, const block::CopyRange& range, std::uint32_t list_identifier) {
  scsi::ExtendedCopy copy;
  copy.form = terms.form;
  copy.list_identifier = list_identifier;
  copy.cscds = terms.cscds;
  std::uint64_t done = 0;
  do {
    const std::uint64_t part = std::min(range.length - done, terms.segment_bytes);
    copy.segments.push_back(segment_of(terms, {.from = range.from + done, .to = range.to + done, .length = part}));
    done += part;
  } while (done < range.length);
  return copy;
}

std::optional<std::uint64_t> moved_lid1(ByteView data) {
  const auto status = scsi::decode_copy_status_lid1(data);
  return status ? scsi::transferred_bytes(status->units, status->count) : std::nullopt;
}

std::optional<std::uint64_t> moved_lid4(ByteView data) {
  const auto status = scsi::decode_copy_status(data);
  return status ? scsi::transferred_bytes(status->units, status->count) : std::nullopt;
}

/// Has a piece copied, once. At the Lun's home.
io::Task<Result<void>> copy_once(Lun& lun, const Terms& terms, CopyPart part) {
  const bool lid4 = terms.form == CopyForm::kLid4;
  const std::uint32_t number = lun.session().next_copy();
  const std::uint32_t identifier = lid4 ? number : 1 + number % kMostListIdentifier;
  const Bytes list = scsi::encode_extended_copy(list_of(terms, part.range, identifier));
  const Cdb cdb = copy_cdb(OperationCode::kThirdPartyCopyOut, lid4 ? scsi::kExtendedCopyLid4 : scsi::kExtendedCopyLid1,
                           0, list.size());
  const Cdb ask =
      copy_cdb(OperationCode::kThirdPartyCopyIn, lid4 ? scsi::kReceiveCopyStatusLid4 : scsi::kReceiveCopyStatusLid1,
               identifier, kCopyParameterBytes);
  CopyStatusWatch status(lun, ask, part, lid4 ? moved_lid4 : moved_lid1);
  io::spawn(status.run());
  const auto result = co_await execute_copy(lun, cdb, list, part);
  co_await status.stop();
  co_return outcome_of(result, part.watch, "EXTENDED COPY");
}

/// Fills in how large requests may be.
Result<void> take_limits(const scsi::CopyOperatingParameters& limits, Terms& terms) {
  if (limits.max_cscds < terms.cscds.size() || limits.max_segments == 0) {
    return fail(ENOTSUP, "the target's limits leave no room for a copy");
  }
  std::uint64_t unit = std::max(terms.source_block, terms.destination_block);
  unit = std::max(unit, std::uint64_t{1} << std::min<unsigned>(limits.data_granularity, kMostGranularity));
  terms.in_bytes = limits.implements(scsi::kBlockOffsetToBlockOffset);
  std::uint64_t segment = terms.in_bytes ? kMostSegmentBytes : kMostSegmentBlocks * terms.source_block;
  if (limits.max_segment_bytes != 0) segment = std::min<std::uint64_t>(segment, limits.max_segment_bytes);
  terms.segment_bytes = whole_pieces(std::min(segment, limits::kThirdPartyBytes), unit);
  if (terms.segment_bytes == 0) return fail(ENOTSUP, "the target's segments are shorter than blocks");

  const std::size_t segment_size = scsi::segment_bytes(segment_of(terms, {}));
  const std::size_t cscd_size = terms.cscds.size() * scsi::kCscdBytes;
  const std::size_t room = limits.max_descriptor_bytes - std::min<std::size_t>(limits.max_descriptor_bytes, cscd_size);
  const std::uint64_t segments = std::min<std::uint64_t>(limits.max_segments, room / segment_size);
  if (segments == 0) return fail(ENOTSUP, "the target's limits leave no room for a copy");
  terms.unit = unit;
  terms.most = std::min(segments * terms.segment_bytes, whole_pieces(limits::kThirdPartyBytes, unit));
  return {};
}

/// What is known without asking anybody.
Result<Terms> introduce(const Lun& from, const Lun& to) {
  const scsi::Designator* const source = scsi::copy_designator(from.facts().designators);
  const scsi::Designator* const destination = scsi::copy_designator(to.facts().designators);
  if (source == nullptr || destination == nullptr) {
    const Lun& nameless = source == nullptr ? from : to;
    return fail(ENOTSUP, fmt::format("LUN {} of {} does not say who it is", nameless.lun().value, target_of(nameless)));
  }
  Terms terms;
  terms.cscds = {cscd_of(from, *source), cscd_of(to, *destination)};
  terms.source_block = from.facts().capacity.block_size;
  terms.destination_block = to.facts().capacity.block_size;
  return terms;
}

class ExtendedCopyCommands final : public CopyCommands {
 public:
  explicit ExtendedCopyCommands(Terms terms) : CopyCommands(terms.unit, terms.most), terms_(std::move(terms)) {}

  const char* name() const override { return "EXTENDED COPY"; }

  io::Task<Result<std::uint64_t>> copy(Lun&, Lun& to, CopyPart part) const override {
    std::function<io::Task<Result<void>>()> make = [this, &to, part] { return copy_once(to, terms_, part); };
    const auto done = co_await at_home(to, std::move(make));
    if (!done) co_return std::unexpected(done.error());
    co_return part.range.length;
  }

 private:
  const Terms terms_;
};

}  // namespace

io::Task<OfferedCommands> offer_extended_copy(const Lun& from, Lun& to, const scsi::ThirdPartyCopyPage& page) {
  auto terms = introduce(from, to);
  if (!terms) co_return std::unexpected(terms.error());
  const Cdb ask =
      copy_cdb(OperationCode::kThirdPartyCopyIn, scsi::kReceiveCopyOperatingParameters, 0, kCopyParameterBytes);
  const auto told = co_await fetch(to, ask, "RECEIVE COPY OPERATING PARAMETERS");
  if (!told) co_return fail(ENOTSUP, told.error().text());
  const auto limits = scsi::decode_copy_operating_parameters(*told);
  if (!limits) co_return fail(ENOTSUP, "the target does not tell its limits for copies");
  const auto taken = take_limits(*limits, *terms);
  if (!taken) co_return std::unexpected(taken.error());
  const auto out = static_cast<std::uint8_t>(OperationCode::kThirdPartyCopyOut);
  if (page.supports(out, scsi::kExtendedCopyLid4)) terms->form = CopyForm::kLid4;
  block::CopyWatch watch;
  const CopyPart nothing{.range = {}, .before = 0, .watch = watch};
  const auto possible = co_await copy_once(to, *terms, nothing);
  if (!possible) co_return fail(ENOTSUP, possible.error().text());
  co_return std::make_shared<ExtendedCopyCommands>(std::move(*terms));
}

}  // namespace peerlane::initiator
