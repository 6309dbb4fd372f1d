#include "target/copy_run.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "copy/job.h"
#include "copy/plan.h"
#include "io/event.h"
#include "io/reactor.h"
#include "scsi/extended_copy.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"
#include "target/unit_disk.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using Use = UnitDisk::Use;

/// Ends the job of an operation when the operation is to end, or its token has. If the disks do not let go of it in
/// time, its writes are orphans of the units that they go to.
class EndWatch {
 public:
  EndWatch(const std::vector<CopyMove>& moves, CopyOperation& operation, const Command* command)
      : operation_(operation), command_(command) {
    for (const CopyMove& move : moves) {
      watch(move.source);
      watch(move.destination);
      if (move.destination.unit == nullptr) continue;
      LogicalUnit* const unit = &move.destination.unit->unit();
      if (std::ranges::find(written_, unit) == written_.end()) written_.push_back(unit);
    }
  }

  io::Task<void> run() {
    const io::Gate::Pass inside(running_);
    const io::Reactor& reactor = io::Reactor::current();
    const io::TimePoint begun = reactor.now();
    io::Timer timer(io::Reactor::current(), [this] { look_.wake_all(); });
    while (!stopped_) {
      timer.arm_after(pause(reactor.now() - begun));
      co_await look_;
      note_progress();
      if (stopped_ || (!ending_ && !must_end())) continue;
      if (!ending_) ended_at_ = reactor.now();
      ending_ = true;
      if (operation_.job != nullptr) operation_.job->cancel();
      if (!orphaned_ && reactor.now() - ended_at_ > limits::kAbortGrace / 2) orphan();
    }
  }
  io::Task<void> stop() {
    stopped_ = true;
    look_.wake_all();
    co_await running_.drained();
    if (orphaned_) {
      for (LogicalUnit* const unit : written_) unit->orphan_ended();
    }
  }
  const bool& ending() const { return ending_; }

  /// The job of a move begins.
  void job_begins(copy::Job& job) {
    operation_.job = &job;
    before_token_ended_ = {};
  }

  /// It has ended: what it has copied, of a token what the token did stand for.
  copy::Summary job_ends() {
    note_progress();
    const copy::Job& job = *std::exchange(operation_.job, nullptr);
    return operation_.rod ? before_token_ended_ : job.summary();
  }

 private:
  struct WatchedUnit {
    const LogicalUnit* unit;
    unsigned resets;
  };

  void watch(const CopyEnd& end) {
    if (end.unit == nullptr) return;
    const LogicalUnit* const unit = &end.unit->unit();
    if (units_.empty() || units_.back().unit != unit) units_.push_back({unit, unit->resets()});
  }

  /// The longer it has gone on, the less a little more matters.
  static io::Duration pause(io::Duration gone_on) {
    return std::clamp<io::Duration>(gone_on / 4, limits::kCopyLook, limits::kMostCopyLook);
  }

  /// What has been copied by now is what the token stands for, if it has not ended after that.
  void note_progress() {
    if (operation_.job == nullptr || !operation_.rod) return;
    copy::Summary now = operation_.job->summary();
    if (!operation_.rod->ended()) before_token_ended_ = std::move(now);
  }

  void orphan() {
    orphaned_ = true;
    for (LogicalUnit* const unit : written_) unit->orphan_begins();
  }

  bool must_end() const {
    if (operation_.canceled || (command_ != nullptr && command_->aborted())) return true;
    if (operation_.rod && operation_.rod->ended()) return true;
    return std::ranges::any_of(units_, [](const WatchedUnit& each) { return each.unit->resets() != each.resets; });
  }

  CopyOperation& operation_;
  const Command* const command_;
  std::vector<WatchedUnit> units_;
  std::vector<LogicalUnit*> written_;
  copy::Summary before_token_ended_;  // of the job that goes on
  io::TimePoint ended_at_;
  bool orphaned_ = false;
  bool stopped_ = false;
  bool ending_ = false;
  io::Event look_;
  io::Gate running_;
};

scsi::SenseCode failure_code(const CopyOperation& operation, const Error& error) {
  if (operation.rod && operation.rod->ended()) return codes::kTokenRevoked;
  if (const auto ended = token_end(error)) return *ended;
  if (error.code == ENOSPC) return codes::kSpaceAllocationFailed;
  return codes::kThirdPartyDeviceFailure;
}

/// The ends of a move as the copy engine takes them.
class MoveEnds {
 public:
  MoveEnds(const CopyMove& move, const bool& ending) : move_(move) {
    if (move.source.unit != nullptr && move.source.unit == move.destination.unit) {
      // Inside one unit the engine has to see one disk.
      destination_.emplace(*move.destination.unit, Use::kBoth, ending);
    } else {
      if (move.source.unit != nullptr) source_.emplace(*move.source.unit, Use::kRead, ending);
      if (move.destination.unit != nullptr) destination_.emplace(*move.destination.unit, Use::kWrite, ending);
    }
    source = end_of(move.source, source_ ? source_ : destination_);
    destination = end_of(move.destination, destination_);
    for_each_unit([](LogicalUnit& unit) { unit.copies_under_way().fetch_add(1, std::memory_order_relaxed); });
  }
  ~MoveEnds() {
    for_each_unit([](LogicalUnit& unit) { unit.copies_under_way().fetch_sub(1, std::memory_order_relaxed); });
  }
  MoveEnds(const MoveEnds&) = delete;
  MoveEnds& operator=(const MoveEnds&) = delete;

  /// How many requests a copy may have under way: the copies of a unit together have few, so that a disk's other users
  /// do not find a long queue, but each has one. Each step below the priority of other commands halves its share.
  unsigned depth(std::uint8_t priority) {
    unsigned most = 1;
    for_each_unit(
        [&](LogicalUnit& unit) { most = std::max(most, unit.copies_under_way().load(std::memory_order_relaxed)); });
    const unsigned steps = priority > 1 ? priority - 1u : 0;
    return std::max(1u, (limits::kUnitCopyDepth / most) >> steps);
  }

  copy::End source;
  copy::End destination;

 private:
  template <typename Visit>
  void for_each_unit(Visit&& visit) {
    if (move_.source.unit != nullptr) visit(move_.source.unit->unit());
    if (move_.destination.unit != nullptr && move_.destination.unit != move_.source.unit) {
      visit(move_.destination.unit->unit());
    }
  }

  static copy::End end_of(const CopyEnd& place, std::optional<UnitDisk>& unit) {
    copy::End end;
    end.device = place.unit != nullptr ? &*unit : place.disk.get();
    end.name = place.unit != nullptr ? place.unit->unit().identity().serial : place.disk->identity().spec;
    end.size = place.size();
    return end;
  }

  const CopyMove& move_;
  std::optional<UnitDisk> source_;
  std::optional<UnitDisk> destination_;
};

void add_account(CopyOperation& operation, const copy::Summary& summary) {
  operation.bytes += summary.contiguous;
  for (const copy::Way way : copy::kAllWays) operation.account.add(way, summary.account.of(way));
  operation.account.memory_bytes += summary.account.memory_bytes;
}

/// The move with its source read in the shortest way: by the disk beneath a peer's unit, if that is here as well.
/// Inside one unit of a peer the engine has to see one disk.
io::Task<CopyMove> brought_near(CopyMove move) {
  if (move.source.shared != nullptr && move.source.disk != move.destination.disk) {
    move.source.disk = co_await move.source.shared->for_reading(move.from, move.length);
  }
  co_return move;
}

io::Task<Result<void>> carry_out(const CopyMove& asked, CopyOperation& operation, EndWatch& watch) {
  CopyMove own = asked;
  auto bringing = brought_near(std::move(own));
  const CopyMove move = co_await std::move(bringing);
  const auto ends = std::make_unique<MoveEnds>(move, watch.ending());
  copy::PlanOptions options;
  options.source_offset = move.from;
  options.length = move.length;
  options.destination_offset = move.to;
  const ItlNexus* const local = move.source.unit != nullptr ? move.source.unit : move.destination.unit;
  if (local != nullptr) options.policy = local->view().copy_settings().p2p;
  copy::End source = ends->source;
  copy::End destination = ends->destination;
  auto plan = co_await copy::plan(std::move(source), std::move(destination), options);
  if (!plan) co_return std::unexpected(plan.error());
  copy::JobOptions job_options;
  job_options.depth = ends->depth(operation.priority);
  job_options.request_bytes = limits::kUnitCopyRequestBytes;
  job_options.flush = move.destination.unit == nullptr || must_reach_medium(move.destination.unit->unit(), false);
  const auto job = std::make_unique<copy::Job>(std::move(*plan), job_options);
  watch.job_begins(*job);
  auto done = co_await job->run();
  const copy::Summary summary = watch.job_ends();
  add_account(operation, summary);
  // What was read from data that had changed by then is not what the token stands for, and who asked begins anew.
  if (operation.rod && operation.rod->ended()) co_return fail(ESTALE, "the token's data have changed");
  if (move.destination.unit != nullptr) move.destination.unit->unit().copy_tally().add(summary);
  co_return done;
}

}  // namespace

io::Task<Completion> run_copy(std::vector<CopyMove> moves, CopyOperation& operation, const Command* command) {
  const std::vector<CopyMove> all(std::move(moves));
  EndWatch watch(all, operation, command);
  io::spawn(watch.run());
  std::optional<scsi::Sense> failure;
  for (std::size_t i = 0; i < all.size() && !failure; ++i) {
    Result<void> done;
    if (watch.ending()) {
      done = fail(ECANCELED);
    } else if (all[i].length != 0) {
      done = co_await carry_out(all[i], operation, watch);
    }
    if (done) {
      operation.segments = static_cast<std::uint16_t>(all[i].segment + 1);
    } else {
      failure = scsi::copy_aborted(failure_code(operation, done.error()), all[i].segment);
      if (!watch.ending()) {
        log::warning("a copy asked for by {} ends at segment {}: {}", operation.initiator, all[i].segment,
                     done.error().text());
      }
    }
  }
  co_await watch.stop();
  if (operation.canceled) co_return Completion{scsi::Status::kTaskAborted, std::nullopt};
  co_return failure ? Completion::check(*failure) : Completion::good();
}

namespace {

io::Task<void> run_in_background(CopyManager& copies, std::vector<CopyMove> moves, CopyOperation& operation) {
  const io::Gate::Pass pass(copies.background());
  auto completion = co_await run_copy(std::move(moves), operation, nullptr);
  copies.end(operation, completion);
}

}  // namespace

io::Task<Completion> run_command(CopyManager& copies, std::vector<CopyMove> moves, CopyOperation& operation,
                                 const Command& command, bool immediate) {
  if (immediate) {
    operation.background = true;
    io::spawn(run_in_background(copies, std::move(moves), operation));
    co_return Completion::good();
  }
  auto completion = co_await run_copy(std::move(moves), operation, &command);
  copies.end(operation, completion);
  co_return completion;
}

}  // namespace peerlane::target
