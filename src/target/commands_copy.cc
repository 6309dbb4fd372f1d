// EXTENDED COPY in both its forms, COPY OPERATION ABORT and RECEIVE COPY (SPC-4 §6.3 to §6.5, §6.22 to §6.25).
//
// Copy source and copy destination are looked for only among the logical units that the I_T nexus of the command has
// itself, and each is held to what it would take for a READ or a WRITE of that nexus: reservations, write protection,
// access states, capacity. All segments are checked before the first byte is moved; the copy engine then takes the
// shortest way between the two disks.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/log.h"
#include "copy/job.h"
#include "copy/plan.h"
#include "io/reactor.h"
#include "scsi/copy_results.h"
#include "scsi/extended_copy.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"
#include "target/copy_manager.h"
#include "target/unit_disk.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using Use = UnitDisk::Use;

constexpr scsi::CdbField kListLength{10, 4};
constexpr std::uint8_t kDirectAccess = 0x00;  // PERIPHERAL DEVICE TYPE
constexpr std::size_t kImmediateByte = 15;    // IMMED, in the parameter list of LID4
constexpr std::uint8_t kImmediateBit = 0;

/// What one segment descriptor moves, in bytes. Nothing: it has only been looked at.
struct Move {
  ItlNexus* source = nullptr;
  ItlNexus* destination = nullptr;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::uint64_t length = 0;
};

template <typename T>
using Checked = std::expected<T, scsi::Sense>;

/// Makes moves of a parameter list; every error is the sense data of the command.
class Preparation {
 public:
  Preparation(const CommandContext& context, const scsi::ExtendedCopy& list) : context_(context), list_(list) {}

  Checked<std::vector<Move>> run() {
    std::vector<Move> moves;
    for (; segment_ < list_.segments.size(); ++segment_) {
      auto move = std::visit([this](const auto& segment) { return prepare(segment); }, list_.segments[segment_]);
      if (!move) return std::unexpected(move.error());
      moves.push_back(*move);
    }
    return moves;
  }

 private:
  std::unexpected<scsi::Sense> refuse(scsi::SenseCode code, std::size_t byte = 0) const {
    return std::unexpected(scsi::copy_aborted(code, segment_, byte));
  }

  Checked<Move> prepare(const scsi::BlocksSegment& segment) {
    auto move = ends(segment.source, segment.destination);
    if (!move) return move;
    const std::uint64_t unit = (segment.destination_count ? move->destination : move->source)->unit().block_size();
    move->from = segment.source_lba.value;
    move->to = segment.destination_lba.value;
    return place(*move, segment.blocks * unit, 0, 0, segment.cat);
  }

  Checked<Move> prepare(const scsi::BytesSegment& segment) {
    auto move = ends(segment.source, segment.destination);
    if (!move) return move;
    move->from = segment.source_lba.value;
    move->to = segment.destination_lba.value;
    return place(*move, segment.bytes, segment.source_offset, segment.destination_offset, segment.cat);
  }

  Checked<Move> prepare(const scsi::VerifySegment& segment) {
    auto source = resolve(segment.source, scsi::kSegmentSource);
    if (!source) return std::unexpected(source.error());
    if (segment.test_unit_ready) {
      const auto usable = check(**source, Use::kRead, scsi::kSegmentSource);
      if (!usable) return std::unexpected(usable.error());
    }
    return Move{};
  }

  template <typename Other>
  Checked<Move> prepare(const Other&) {
    return refuse(codes::kInvalidOperationForCopy);
  }

  Checked<Move> ends(std::uint16_t source, std::uint16_t destination) {
    const auto from = resolve(source, scsi::kSegmentSource);
    if (!from) return std::unexpected(from.error());
    const auto to = resolve(destination, scsi::kSegmentDestination);
    if (!to) return std::unexpected(to.error());
    auto usable = check(**from, Use::kRead, scsi::kSegmentSource);
    if (usable) usable = check(**to, Use::kWrite, scsi::kSegmentDestination);
    if (!usable) return std::unexpected(usable.error());
    return Move{.source = *from, .destination = *to};
  }

  /// Turns logical block addresses and offsets into bytes on the units, which must have them (blocks that are not there
  /// are not reachable: other copy managers say so, and initiators expect it). A piece of a block that
  /// is left over is written as it is: the rest of its block at the destination stays.
  Checked<Move> place(Move move, std::uint64_t length, std::uint64_t source_offset, std::uint64_t destination_offset,
                      bool cat) {
    const LogicalUnit& source = move.source->unit();
    const LogicalUnit& destination = move.destination->unit();
    if (move.from > source.capacity().value) return refuse(codes::kCopyTargetNotReachable);
    if (move.to > destination.capacity().value) return refuse(codes::kCopyTargetNotReachable);
    move.from = move.from * source.block_size() + source_offset;
    move.to = move.to * destination.block_size() + destination_offset;
    move.length = length;
    const std::uint64_t source_end = source.capacity().value * source.block_size();
    const std::uint64_t destination_end = destination.capacity().value * destination.block_size();
    if (move.from > source_end || length > source_end - move.from) return refuse(codes::kCopyTargetNotReachable);
    if (move.to > destination_end || length > destination_end - move.to) {
      return refuse(codes::kCopyTargetNotReachable);
    }
    // What is left over would have to be kept for the next segment.
    if (cat && (move.to + length) % destination.block_size() != 0) {
      return refuse(codes::kCopySegmentGranularityViolation);
    }
    return move;
  }

  /// The logical unit of a CSCD descriptor ID, among those that the nexus has.
  Checked<ItlNexus*> resolve(std::uint16_t id, std::size_t byte) const {
    if (id == scsi::kAddressedUnit) return &context_.nexus;
    const scsi::Cscd* const cscd = scsi::find_cscd(list_, id);
    const auto* const designator = cscd != nullptr ? std::get_if<scsi::Designator>(&cscd->unit) : nullptr;
    if (designator == nullptr || cscd->null_device) return refuse(codes::kCopyTargetNotReachable, byte);
    if (cscd->peripheral_type != kDirectAccess) return refuse(codes::kIncorrectCopyTargetType, byte);
    NexusView& view = context_.nexus.view();
    for (const scsi::Lun lun : view.luns()) {
      ItlNexus* const nexus = view.find(lun);
      if (nexus == nullptr || !is_named(nexus->unit(), *designator)) continue;
      const bool other_blocks = cscd->block_length != 0 && cscd->block_length != nexus->unit().block_size();
      if (other_blocks) return refuse(codes::kIncorrectCopyTargetType, byte);
      return nexus;
    }
    return refuse(codes::kCopyTargetNotReachable, byte);
  }

  static bool is_named(const LogicalUnit& unit, const scsi::Designator& designator) {
    return std::ranges::any_of(unit_designators(unit.identity()),
                               [&](const scsi::Designator& own) { return scsi::same_unit(designator, own); });
  }

  /// Whether a READ or WRITE of the nexus would be carried out.
  Checked<void> check(const ItlNexus& nexus, Use use, std::size_t byte) const {
    const LogicalUnit& unit = nexus.unit();
    const ReservationClass needed = use == Use::kRead ? ReservationClass::kRead : ReservationClass::kWrite;
    if ((nexus.conflicts() & conflict(needed)) != 0) return refuse(codes::kThirdPartyDeviceFailure, byte);
    if (nexus.access_state() > scsi::AccessState::kNonOptimized) return refuse(codes::kCopyTargetNotReachable, byte);
    const bool busy = !unit.started() || unit.has_orphans() || nexus.unit().condition().sanitize_sense();
    if (busy) return refuse(codes::kThirdPartyDeviceFailure, byte);
    const bool is_protected = unit.read_only() || unit.modes().current().software_write_protect;
    if (use == Use::kWrite && is_protected) return refuse(codes::kWriteProtected, byte);
    return {};
  }

  const CommandContext& context_;
  const scsi::ExtendedCopy& list_;
  std::size_t segment_ = 0;
};

/// Ends the job of an operation when its command is aborted, or the operation by COPY OPERATION ABORT.
class AbortWatch {
 public:
  AbortWatch(Command& command, CopyOperation& operation) : command_(command), operation_(operation) {}

  io::Task<void> run() {
    const io::Gate::Pass inside(running_);
    while (!ended_) {
      co_await io::sleep(command_.executor(), limits::kCopyLook);
      if (ended_ || (!command_.aborted() && !operation_.canceled)) continue;
      aborted_ = true;
      if (operation_.job != nullptr) operation_.job->cancel();
    }
  }
  io::Task<void> stop() {
    ended_ = true;
    co_await running_.drained();
  }
  const bool& aborted() const { return aborted_; }

 private:
  Command& command_;
  CopyOperation& operation_;
  bool ended_ = false;
  bool aborted_ = false;
  io::Gate running_;
};

scsi::SenseCode failure_code(const Error& error) {
  if (error.code == ENOSPC) return codes::kSpaceAllocationFailed;
  return codes::kThirdPartyDeviceFailure;
}

copy::End end_of(UnitDisk& disk, const ItlNexus& nexus) {
  copy::End end;
  end.device = &disk;
  end.name = nexus.unit().identity().serial;
  end.size = disk.geometry().size;
  return end;
}

/// Moves the bytes of one segment.
io::Task<Result<void>> carry_out(Move move, CopyOperation& operation, const bool& aborted) {
  UnitDisk reading(*move.source, Use::kRead, aborted);
  // Inside one unit the engine has to see one disk.
  const bool inside = move.source == move.destination;
  UnitDisk writing(*move.destination, inside ? Use::kBoth : Use::kWrite, aborted);
  copy::End source = end_of(inside ? writing : reading, *move.source);
  copy::End destination = end_of(writing, *move.destination);
  copy::PlanOptions options;
  options.source_offset = move.from;
  options.length = move.length;
  options.destination_offset = move.to;
  auto plan = co_await copy::plan(std::move(source), std::move(destination), options);
  if (!plan) co_return std::unexpected(plan.error());
  copy::JobOptions job_options;
  job_options.depth = limits::kUnitCopyDepth;
  job_options.flush = must_reach_medium(move.destination->unit(), false);
  const auto job = std::make_unique<copy::Job>(std::move(*plan), job_options);
  operation.job = job.get();
  auto done = co_await job->run();
  operation.job = nullptr;
  const copy::Summary summary = job->summary();
  operation.bytes += summary.bytes;
  for (const copy::Way way : copy::kAllWays) operation.account.add(way, summary.account.of(way));
  operation.account.memory_bytes += summary.account.memory_bytes;
  co_return done;
}

/// Segment by segment. The completion of the command.
io::Task<Completion> carry_out_all(CommandContext context, std::vector<Move> moves, CopyOperation& operation) {
  const std::vector<Move> all(std::move(moves));
  AbortWatch watch(context.command, operation);
  io::spawn(watch.run());
  std::optional<scsi::Sense> failure;
  for (std::size_t i = 0; i < all.size() && !failure && !watch.aborted(); ++i) {
    Result<void> done;
    if (all[i].length != 0) done = co_await carry_out(all[i], operation, watch.aborted());
    if (done) {
      ++operation.segments;
    } else {
      failure = scsi::copy_aborted(failure_code(done.error()), i);
      if (!watch.aborted()) {
        log::warning("a copy asked for by {} ends at segment {}: {}", context.nexus.view().name().initiator, i,
                     done.error().text());
      }
    }
  }
  co_await watch.stop();
  if (operation.canceled) co_return Completion{scsi::Status::kTaskAborted, std::nullopt};
  co_return failure ? Completion::check(*failure) : Completion::good();
}

}  // namespace

io::Task<Completion> extended_copy(CommandContext context) {
  CopyManager* const copies = context.nexus.view().copies();
  if (copies == nullptr) co_return Completion::check(scsi::illegal_request(codes::kInvalidOperationCode));
  const std::uint64_t length = scsi::get_field(context.cdb(), kListLength);
  if (length == 0) co_return Completion::good();
  ParameterList received = co_await receive_parameter_list(context, length);
  if (received.refused) co_return *received.refused;
  if (!received.bytes) co_return Completion::good();
  const bool lid4 = context.description.service_action == scsi::kExtendedCopyLid4;
  const auto form = lid4 ? scsi::CopyForm::kLid4 : scsi::CopyForm::kLid1;
  const auto list = scsi::decode_extended_copy(form, received.bytes->bytes(), CopyManager::parameters());
  if (!list) co_return Completion::check(list.error());
  received.bytes.reset();
  if (list->immediate) {
    co_return Completion::check(scsi::invalid_field_in_parameter_list(kImmediateByte, kImmediateBit));
  }
  const bool named = list->usage != scsi::ListIdUsage::kNone;
  if (named && copies->in_use(form, list->list_identifier)) {
    co_return Completion::check(scsi::illegal_request(codes::kOperationInProgress));
  }
  auto moves = Preparation(context, *list).run();
  if (!moves) co_return Completion::check(moves.error());
  CopyOperation* const operation = copies->begin(form, list->list_identifier, named);
  if (operation == nullptr) co_return Completion::check(scsi::copy_aborted(codes::kInsufficientResources, 0));
  auto completion = co_await carry_out_all(context, std::move(*moves), *operation);
  copies->end(*operation, completion);
  co_return completion;
}

namespace {

/// The operation that a CDB names, or why there is none.
Checked<CopyOperation*> named_operation(const CommandContext& context, scsi::CopyForm form) {
  CopyManager* const copies = context.nexus.view().copies();
  if (copies == nullptr) return std::unexpected(scsi::illegal_request(codes::kInvalidOperationCode));
  const auto cdb = scsi::decode_copy_cdb(context.cdb());
  CopyOperation* const found = cdb ? copies->find(form, cdb->list_identifier) : nullptr;
  if (found == nullptr) return std::unexpected(scsi::invalid_field_in_cdb(2));
  return found;
}

Answer put(const std::vector<std::uint8_t>& data, ByteSpan out) {
  const std::size_t size = std::min(data.size(), out.size());
  std::copy_n(data.begin(), size, out.begin());
  return size;
}

std::vector<std::uint8_t> sense_bytes(const LogicalUnit& unit, const Completion& completion) {
  std::vector<std::uint8_t> bytes;
  if (!completion.sense) return bytes;
  bytes.resize(scsi::kMaxSenseBytes);
  bytes.resize(scsi::encode_sense(*completion.sense, unit.descriptor_sense(), bytes));
  return bytes;
}

std::uint64_t bytes_so_far(const CopyOperation& operation) {
  return operation.bytes + (operation.job != nullptr ? operation.job->progress().done : 0);
}

bool failed(const CopyOperation& operation) {
  return operation.ended && operation.completion.status != scsi::Status::kGood;
}

std::vector<std::uint8_t> status_lid1(const CopyOperation& operation) {
  using enum scsi::CopyCommandStatus;
  scsi::CopyStatusLid1 status;
  status.status = !operation.ended ? kInProgress : failed(operation) ? kFailed : kDone;
  status.segments = operation.segments;
  scsi::set_transferred(status, bytes_so_far(operation));
  return scsi::encode_copy_status(status);
}

std::vector<std::uint8_t> status_lid4(const CommandContext& context, const CopyOperation& operation) {
  using enum scsi::CopyOperationStatus;
  scsi::CopyStatus status;
  status.status = operation.canceled  ? kTerminated
                  : !operation.ended  ? kInForeground
                  : failed(operation) ? kFailed
                                      : kDone;
  status.count = bytes_so_far(operation);
  status.segments = operation.segments;
  status.operations = static_cast<std::uint16_t>(status.count >> 20 | operation.segments);
  if (operation.ended) {
    status.update_delay = scsi::kUpdateDelayEnded;
    status.completion = static_cast<std::uint8_t>(operation.completion.status);
    status.sense = sense_bytes(context.unit, operation.completion);
  }
  return scsi::encode_copy_status(status);
}

}  // namespace

Answer abort_copy_operation(const CommandContext& context, ByteSpan) {
  const auto operation = named_operation(context, scsi::CopyForm::kLid4);
  if (!operation) return std::unexpected(operation.error());
  if (!(*operation)->ended) (*operation)->canceled = true;
  return std::size_t{0};
}

Answer receive_copy_status(const CommandContext& context, ByteSpan out) {
  const bool lid1 = context.description.service_action == scsi::kReceiveCopyStatusLid1;
  const auto operation = named_operation(context, lid1 ? scsi::CopyForm::kLid1 : scsi::CopyForm::kLid4);
  if (!operation) return std::unexpected(operation.error());
  return put(lid1 ? status_lid1(**operation) : status_lid4(context, **operation), out);
}

Answer receive_copy_operating_parameters(const CommandContext& context, ByteSpan out) {
  if (context.nexus.view().copies() == nullptr) {
    return std::unexpected(scsi::illegal_request(codes::kInvalidOperationCode));
  }
  return put(scsi::encode_copy_operating_parameters(CopyManager::parameters()), out);
}

Answer receive_copy_failure_details(const CommandContext& context, ByteSpan out) {
  const auto operation = named_operation(context, scsi::CopyForm::kLid1);
  if (!operation) return std::unexpected(operation.error());
  std::optional<scsi::CopyFailure> failure;
  if (failed(**operation)) {
    failure = scsi::CopyFailure{static_cast<std::uint8_t>((*operation)->completion.status),
                                sense_bytes(context.unit, (*operation)->completion)};
    // They are told once (SPC-4 §6.22).
    context.nexus.view().copies()->forget(**operation);
  }
  return put(scsi::encode_copy_failure(failure), out);
}

}  // namespace peerlane::target
