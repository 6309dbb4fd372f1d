#include "initiator/unit_copy.h"

#include <algorithm>
#include <cerrno>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/limits.h"
#include "initiator/discovery.h"
#include "initiator/lun.h"
#include "initiator/scsi_error.h"
#include "scsi/copy_log_page.h"
#include "scsi/copy_operating_parameters.h"
#include "scsi/copy_results.h"
#include "scsi/extended_copy.h"
#include "scsi/opcodes.h"
#include "scsi/third_party_copy.h"
#include "scsi/third_party_copy_page.h"
#include "scsi/vpd.h"

namespace peerlane::initiator {
namespace {

using scsi::CopyForm;
using scsi::OperationCode;

constexpr std::size_t kParameterBytes = 1024;  // of answers: more than any of them has
constexpr std::uint64_t kMostSegmentBlocks = 0xffff;
constexpr std::uint64_t kMostSegmentBytes = 0xffff'ffff;
constexpr std::uint64_t kSegmentAlignment = 1u << 20;  // segments of a few MiB begin and end where disks like it
constexpr unsigned kMostGranularity = 24;              // an exponent of two; a larger one is no use
constexpr std::uint32_t kMostListIdentifier = 255;     // of LID1
constexpr std::string_view kOwnVendor = "PEERLANE";    // whose targets have the log page

Cdb copy_cdb(OperationCode operation, std::uint16_t service_action, std::uint32_t list_identifier, std::size_t length) {
  scsi::CopyCdb copy;
  copy.operation = operation;
  copy.service_action = service_action;
  copy.list_identifier = list_identifier;
  copy.length = static_cast<std::uint32_t>(length);
  Cdb cdb{};
  scsi::encode_copy_cdb(copy, cdb);
  return cdb;
}

/// Parameter data of a command without data-out. At the Lun's home, as all that follows.
io::Task<Result<Bytes>> fetch(Lun& lun, Cdb cdb, const char* doing) {
  Bytes data(kParameterBytes);
  Request request;
  request.cdb = cdb;
  request.data_in = data;
  request.repeatable = true;
  auto result = co_await lun.execute(request);
  if (!result) co_return std::unexpected(result.error());
  if (!succeeded(*result)) co_return std::unexpected(to_error(*result, doing));
  data.resize(std::min(result->transferred, data.size()));
  co_return data;
}

io::Task<Result<Bytes>> log_page(Lun& lun, std::uint16_t first) {
  constexpr std::uint8_t kCumulative = 1;
  Cdb cdb{};
  cdb[0] = static_cast<std::uint8_t>(OperationCode::kLogSense);
  cdb[2] = static_cast<std::uint8_t>(kCumulative << 6 | scsi::kCopyLogPage.page);
  put_be16(cdb, 5, first);
  put_be16(cdb, 7, kParameterBytes);
  return fetch(lun, cdb, "LOG SENSE");
}

const std::string& target_of(const Lun& lun) {
  return lun.session().options().login.target_name;
}

/// A unit as a parameter list names it.
scsi::Cscd cscd_of(const Lun& lun, const scsi::Designator& designator) {
  scsi::Cscd cscd;
  cscd.unit = designator;
  std::get<scsi::Designator>(cscd.unit).protocol.reset();
  cscd.block_length = lun.facts().capacity.block_size;
  return cscd;
}

/// What the answer to EXTENDED COPY means. A target that refuses leaves the copy to other ways.
Result<void> outcome_of(const Result<ScsiResult>& result, const block::CopyWatch& watch) {
  if (result && succeeded(*result)) return {};
  if (watch.canceled.load(std::memory_order_relaxed)) return fail(ECANCELED, "interrupted");
  if (!result) return std::unexpected(result.error());
  Error error = to_error(*result, "EXTENDED COPY");
  // A copy manager may tell no more than that it failed. An error of a disk is told better by who reads it.
  const bool check = result->status == scsi::Status::kCheckCondition;
  const bool refused = check && (!result->sense || result->sense->key == scsi::SenseKey::kIllegalRequest ||
                                 result->sense->key == scsi::SenseKey::kCopyAborted);
  if (refused) error.code = ENOTSUP;
  return std::unexpected(std::move(error));
}

/// What a target can do for a copy between two disks.
struct Terms {
  CopyForm form = CopyForm::kLid1;
  std::vector<scsi::Cscd> cscds = {};  // source, destination
  std::uint32_t source_block = 512;    // bytes
  std::uint32_t destination_block = 512;
  std::uint64_t segment_bytes = 0;      // the most of one segment
  bool in_bytes = false;                // segments that count bytes instead of blocks
  bool tells_ways = false;              // it has the log page
  std::optional<scsi::CopyLog> before;  // what that said when the copy was offered
  block::CopyOffer offer;
};

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

// --- One copy ---

/// Asks how far a copy is while its command is under way, until the target has no answer.
class StatusWatch {
 public:
  StatusWatch(Lun& lun, CopyForm form, std::uint32_t list_identifier, block::CopyWatch& watch)
      : lun_(lun),
        lid4_(form == CopyForm::kLid4),
        watch_(watch),
        timer_(lun.session().reactor(), [this] { wake_.wake_all(); }) {
    const auto action = lid4_ ? scsi::kReceiveCopyStatusLid4 : scsi::kReceiveCopyStatusLid1;
    cdb_ = copy_cdb(OperationCode::kThirdPartyCopyIn, action, list_identifier, kParameterBytes);
  }

  io::Task<void> run() {
    const io::Gate::Pass inside(running_);
    while (!stopped_) {
      timer_.arm_after(limits::kThirdPartyAsk);
      co_await wake_;
      if (stopped_) break;
      const auto data = co_await fetch(lun_, cdb_, "RECEIVE COPY STATUS");
      if (!data || stopped_) break;
      const auto bytes = moved(*data);
      // A copy that is named anew after its connection was lost begins anew, too.
      if (bytes) watch_.moved.store(*bytes, std::memory_order_relaxed);
    }
  }
  io::Task<void> stop() {
    stopped_ = true;
    timer_.disarm();
    wake_.wake_all();
    co_await running_.drained();
  }

 private:
  std::optional<std::uint64_t> moved(ByteView data) const {
    if (lid4_) {
      const auto status = scsi::decode_copy_status(data);
      return status ? scsi::transferred_bytes(status->units, status->count) : std::nullopt;
    }
    const auto status = scsi::decode_copy_status_lid1(data);
    return status ? scsi::transferred_bytes(status->units, status->count) : std::nullopt;
  }

  Lun& lun_;
  const bool lid4_;
  block::CopyWatch& watch_;
  Cdb cdb_{};
  io::Timer timer_;
  io::Event wake_;
  io::Gate running_;
  bool stopped_ = false;
};

/// Has one range copied, once.
io::Task<Result<void>> copy_once(Lun& lun, const Terms& terms, block::CopyRange range, block::CopyWatch& watch) {
  const bool lid4 = terms.form == CopyForm::kLid4;
  const std::uint32_t number = lun.session().next_copy();
  const std::uint32_t identifier = lid4 ? number : 1 + number % kMostListIdentifier;
  const Bytes list = scsi::encode_extended_copy(list_of(terms, range, identifier));
  Request request;
  request.cdb = copy_cdb(OperationCode::kThirdPartyCopyOut, lid4 ? scsi::kExtendedCopyLid4 : scsi::kExtendedCopyLid1, 0,
                         list.size());
  request.data_out = list;
  request.timeout = limits::kThirdPartyTimeout;
  request.canceled = &watch.canceled;
  StatusWatch status(lun, terms.form, identifier, watch);
  io::spawn(status.run());
  const auto result = co_await lun.execute(request);
  co_await status.stop();
  co_return outcome_of(result, watch);
}

// --- The offer ---

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
  segment = std::min(segment, limits::kThirdPartyBytes);
  const std::uint64_t step = segment >= 2 * kSegmentAlignment ? std::max(kSegmentAlignment, unit) : unit;
  terms.segment_bytes = segment / step * step;
  if (terms.segment_bytes == 0) return fail(ENOTSUP, "the target's segments are shorter than blocks");

  const std::size_t segment_size = scsi::segment_bytes(segment_of(terms, {}));
  const std::size_t cscd_size = terms.cscds.size() * scsi::kCscdBytes;
  const std::size_t room = limits.max_descriptor_bytes - std::min<std::size_t>(limits.max_descriptor_bytes, cscd_size);
  const std::uint64_t segments = std::min<std::uint64_t>(limits.max_segments, room / segment_size);
  if (segments == 0) return fail(ENOTSUP, "the target's limits leave no room for a copy");
  terms.offer.unit = unit;
  terms.offer.most = std::min(segments * terms.segment_bytes, limits::kThirdPartyBytes / step * step);
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
  if (!to.facts().inquiry.third_party_copy) {
    return fail(ENOTSUP, fmt::format("{} does not offer third-party copies", target_of(to)));
  }
  Terms terms;
  terms.cscds = {cscd_of(from, *source), cscd_of(to, *destination)};
  terms.source_block = from.facts().capacity.block_size;
  terms.destination_block = to.facts().capacity.block_size;
  const bool inside = target_of(from) == target_of(to);
  terms.offer.place = inside ? fmt::format("within the target {}", target_of(to))
                             : fmt::format("from the target {} to {}", target_of(from), target_of(to));
  terms.tells_ways = to.facts().inquiry.vendor == kOwnVendor;
  return terms;
}

/// Whether a target has a logical unit of its own with that designator. Errors: those of asking it.
io::Task<Result<bool>> has_unit(Session& session, scsi::Designator designator) {
  const auto luns = co_await report_luns(session);
  if (!luns) co_return std::unexpected(luns.error());
  for (const std::uint32_t lun : *luns) {
    const scsi::Lun number{static_cast<std::uint16_t>(lun)};
    UnitAccess unit(session, iscsi::LunField{scsi::encode_lun(number)}, nullptr, false);
    const auto page = co_await unit.vpd(scsi::VpdPage::kDeviceIdentification);
    const auto own = page ? scsi::decode_device_identification(*page) : std::nullopt;
    if (!own) continue;
    if (std::ranges::any_of(*own, [&](const auto& each) { return scsi::same_unit(designator, each); })) co_return true;
  }
  co_return false;
}

/// Asks the destination's target for what it takes to copy. `from` is only looked at.
io::Task<Result<Terms>> ask(const Lun& from, Lun& to) {
  auto terms = introduce(from, to);
  if (!terms) co_return terms;
  const bool inside = target_of(from) == target_of(to);
  if (!inside) {
    scsi::Designator source = std::get<scsi::Designator>(terms->cscds.front().unit);
    const auto ambiguous = co_await has_unit(to.session(), std::move(source));
    if (!ambiguous) co_return fail(ENOTSUP, ambiguous.error().text());
    if (*ambiguous) {
      co_return fail(ENOTSUP, fmt::format("{} has a disk of its own by the name that the source has", target_of(to)));
    }
  }
  const Cdb ask_limits =
      copy_cdb(OperationCode::kThirdPartyCopyIn, scsi::kReceiveCopyOperatingParameters, 0, kParameterBytes);
  const auto told = co_await fetch(to, ask_limits, "RECEIVE COPY OPERATING PARAMETERS");
  if (!told) co_return fail(ENOTSUP, told.error().text());
  const auto limits = scsi::decode_copy_operating_parameters(*told);
  if (!limits) co_return fail(ENOTSUP, "the target does not tell its limits for copies");
  const auto taken = take_limits(*limits, *terms);
  if (!taken) co_return std::unexpected(taken.error());
  const auto page = co_await to.vpd(scsi::VpdPage::kThirdPartyCopy);
  const auto decoded = page ? scsi::decode_third_party_copy(*page) : std::nullopt;
  const bool lid4 = decoded && decoded->supports(static_cast<std::uint8_t>(OperationCode::kThirdPartyCopyOut),
                                                 scsi::kExtendedCopyLid4);
  if (lid4) terms->form = CopyForm::kLid4;
  block::CopyWatch watch;
  const block::CopyRange nothing;
  const auto possible = co_await copy_once(to, *terms, nothing, watch);
  if (!possible) co_return fail(ENOTSUP, possible.error().text());
  if (!terms->tells_ways) co_return terms;
  const auto past = co_await log_page(to, 0);
  if (past) terms->before = scsi::decode_copy_log(*past);
  if (!inside || !terms->before) co_return terms;
  const auto future = co_await log_page(to, static_cast<std::uint16_t>(scsi::kCopyForecasts + from.lun().value));
  const auto forecast = future ? scsi::decode_copy_forecast(*future, from.lun()) : std::nullopt;
  if (forecast) {
    terms->offer.way = forecast->way;
    terms->offer.refusals = forecast->refusals;
  }
  co_return terms;
}

std::uint64_t bytes_of(const scsi::CopyLog& log, const std::string& way) {
  const auto found = std::ranges::find(log.ways, way, &scsi::CopyLog::Way::name);
  return found == log.ways.end() ? 0 : found->bytes;
}

/// What has been counted since. A counter that went down was reset.
std::uint64_t since(std::uint64_t before, std::uint64_t now) {
  return now >= before ? now - before : now;
}

io::Task<std::optional<block::CopyAccount>> account_of(Lun& lun, const Terms& terms) {
  if (!terms.before) co_return std::nullopt;
  const auto page = co_await log_page(lun, 0);
  const auto now = page ? scsi::decode_copy_log(*page) : std::nullopt;
  if (!now) co_return std::nullopt;
  block::CopyAccount account;
  for (const scsi::CopyLog::Way& way : now->ways) {
    const std::uint64_t bytes = since(bytes_of(*terms.before, way.name), way.bytes);
    if (bytes != 0) account.ways.push_back({way.name, bytes});
  }
  account.memory_bytes = since(terms.before->memory_bytes, now->memory_bytes);
  account.last = now->last;
  co_return account;
}

/// Runs `make()`'s task at the home of `lun`.
template <typename T>
io::Task<T> at_home(const Lun& lun, std::function<io::Task<T>()> make) {
  struct Keep {
    static io::Task<void> result_of(const std::function<io::Task<T>()>& task, std::optional<T>& kept) {
      auto value = co_await task();
      kept.emplace(std::move(value));
    }
  };
  std::optional<T> result;
  std::function<io::Task<void>()> there = [&make, &result] { return Keep::result_of(make, result); };
  auto running = io::run_on(io::Reactor::current(), lun.session().reactor(), std::move(there));
  co_await std::move(running);
  co_return std::move(*result);
}

class UnitCopy final : public block::OffloadedCopy {
 public:
  UnitCopy(RemoteDisk& destination, Terms terms) : destination_(destination), terms_(std::move(terms)) {}

  const block::CopyOffer& offer() const override { return terms_.offer; }

  /// A copy can be done twice: one whose connection was lost is asked for again, on whatever path there is. Where none
  /// comes back, or the target takes too long, other ways may still work.
  io::Task<Result<void>> copy(block::CopyRange range, block::CopyWatch& watch) override {
    Result<void> done;
    for (unsigned tries = 0; tries < limits::kThirdPartyTries; ++tries) {
      Lun& lun = destination_.path();
      std::function<io::Task<Result<void>>()> make = [this, &lun, range, &watch] {
        return copy_once(lun, terms_, range, watch);
      };
      done = co_await at_home(lun, std::move(make));
      if (done || !is_path_error(done.error()) || watch.canceled) co_return done;
      if (done.error().code == ETIMEDOUT) break;
    }
    co_return fail(ENOTSUP, done.error().text());
  }

  io::Task<std::optional<block::CopyAccount>> account() override {
    Lun& lun = destination_.path();
    std::function<io::Task<std::optional<block::CopyAccount>>()> make = [this, &lun] {
      return account_of(lun, terms_);
    };
    return at_home(lun, std::move(make));
  }

 private:
  RemoteDisk& destination_;
  const Terms terms_;
};

}  // namespace

io::Task<Result<std::shared_ptr<block::OffloadedCopy>>> RemoteDisk::offer_copy_from(block::CopyOffload& source) {
  auto* const remote = dynamic_cast<RemoteDisk*>(&source);
  if (remote == nullptr) co_return fail(ENOTSUP, "the source is no disk of a target");
  const Lun& from = remote->path();
  Lun& to = path();
  const LinkOptions& way_there = to.session().options().link;
  const LinkOptions& way_from = from.session().options().link;
  const bool one_portal =
      remote->has_portal(way_there.host, way_there.port) || has_portal(way_from.host, way_from.port);
  if (target_of(from) == target_of(to) && !one_portal) {
    co_return fail(ENOTSUP, fmt::format("whether {} at {} is the target at {} is not known; name both disks by one of "
                                        "its portals",
                                        target_of(to), way_from.host, way_there.host));
  }
  std::function<io::Task<Result<Terms>>()> make = [&from, &to] { return ask(from, to); };
  auto terms = co_await at_home(to, std::move(make));
  if (!terms) co_return std::unexpected(terms.error());
  co_return std::make_shared<UnitCopy>(*this, std::move(*terms));
}

}  // namespace peerlane::initiator
