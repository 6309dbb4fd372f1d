#include "copy/job.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <sys/resource.h>

#include "copy/stream.h"
#include "io/reactor.h"

namespace peerlane::copy {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kUnit = 4096;            // pieces are multiples of it where nothing forbids that
constexpr std::uint64_t kSkewBytes = 2 * kUnit;  // blocks around a piece whose ends lie on no block
constexpr auto kThrottleStep = 100ms;            // who waits for the rate looks so often whether the copy has ended

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

Job::Job(Plan plan, JobOptions options)
    : plan_(std::move(plan)),
      options_(std::move(options)),
      share_(std::size_t{2} * limits::kMostCopyDepth * limits::kMaxBufferBytes),
      zeroes_(plan_.destination(), account_),
      host_memory_(plan_.source(), plan_.destination(), share_, plan_.sparse() == Sparse::kAlways ? &zeroes_ : nullptr,
                   account_),
      compare_(plan_.source(), plan_.destination(), share_) {
  if (!options_.journal.empty()) journal_.emplace(options_.journal);
  if (options_.rate != 0) bucket_.emplace(options_.rate, options_.rate / 10);
  const MoverTools tools{account_, share_};
  for (const DirectWay& way : plan_.direct_ways()) {
    direct_.push_back(way.make_mover(plan_.source(), plan_.destination(), tools));
  }
}

io::Task<Result<void>> Job::run() {
  started_ = ended_ = io::Clock::now();
  processor_at_start_ = processor_at_end_ = processor_seconds();
  Result<void> done = check();
  if (!done) co_return done;
  done = co_await copy(resumed_at_);
  if (done && options_.verify) done = co_await verify();
  co_await conclude();
  if (done && journal_) done = journal_->remove();
  if (done) phase_ = Phase::kDone;
  ended_ = io::Clock::now();
  processor_at_end_ = processor_seconds();
  co_return done;
}

Result<void> Job::check() {
  auto checked = check_options();
  return checked ? open_journal() : checked;
}

Result<void> Job::check_options() const {
  const bool stream = plan_.source().stream != nullptr;
  if (options_.verify && stream) return fail(EINVAL, "what came from standard input cannot be read again to verify it");
  if (options_.verify && plan_.destination().sink != nullptr) {
    return fail(EINVAL, "what went to standard output cannot be read back to verify it");
  }
  if (options_.verify && plan_.overlapping()) {
    return fail(EINVAL, "a copy to an overlapping range of the same disk changes its source, and cannot be verified");
  }
  if (journal_ && plan_.overlapping()) {
    return fail(EINVAL, "a copy to an overlapping range of the same disk changes its source, and cannot be resumed");
  }
  for (const End* end : {&plan_.source(), &plan_.destination()}) {
    if (journal_ && end->identity.empty()) {
      return fail(EINVAL, fmt::format("a copy from or to {} cannot be resumed", end->name));
    }
  }
  return {};
}

/// Finds out where an earlier copy ended.
Result<void> Job::open_journal() {
  if (!journal_) return {};
  const auto entry = journal_->read();
  if (!entry) return std::unexpected(entry.error());
  if (!*entry) return {};
  std::string reason = mismatch(**entry, JournalEntry::of(plan_));
  const std::uint64_t done = (*entry)->done;
  if (reason.empty() && plan_.destination().zero_from < plan_.destination_offset() + done) {
    reason = fmt::format("{} is shorter than what had been copied to it", plan_.destination().name);
  }
  if (!reason.empty()) {
    return fail(EINVAL, fmt::format("the journal {} does not fit this copy: {}; remove it to start from the beginning, "
                                    "or name another file",
                                    journal_->path(), reason));
  }
  resumed_at_ = journaled_ = done;
  return {};
}

// --- The copy as a whole ---

io::Task<Result<void>> Job::copy(std::uint64_t from) {
  Result<void> done;
  if (journal_) {
    // A copy that cannot be resumed should say so now and not when it is too late.
    done = co_await write_journal();
    if (!done) co_return done;
    io::spawn(keep_journal());
  }
  co_await pass(from, depth_of_copy());
  stopping_journal_ = true;
  journal_wake_.wake_all();
  co_await journal_keeper_.drained();
  if (!ending()) {
    const auto room = co_await check_room();
    if (!room) end_with(room.error());
  }
  if (!ending()) {
    const auto settled = settle();
    if (!settled) end_with(settled.error());
  }
  if (!ending()) {
    phase_ = Phase::kFlushing;
    if (options_.flush) done = co_await flush();
    co_return done;
  }
  if (journal_) {
    // What it says is true whether or not this succeeds.
    const auto written = co_await write_journal();
    if (!written) end_with(written.error());
  }
  if (error_) co_return std::unexpected(*error_);
  co_return fail(ECANCELED, "interrupted");
}

/// A stream that has more than the destination has room for.
io::Task<Result<void>> Job::check_room() {
  StreamSource* const stream = plan_.source().stream;
  const std::uint64_t room = plan_.destination().size - plan_.destination_offset();
  if (stream == nullptr || stream->end() != UINT64_MAX || plan_.most() < room) co_return Result<void>();
  std::uint8_t byte = 0;
  const ByteSpan next(&byte, 1);
  auto read = co_await stream->read(plan_.most(), next);
  if (!read) co_return std::unexpected(explain("reading", plan_.source().name, plan_.most(), read.error()));
  if (stream->end() != UINT64_MAX) co_return Result<void>();
  co_return fail(ENOSPC, fmt::format("{} is too small: it has room for {} bytes, which are written, and {} has more",
                                     plan_.destination().name, room, plan_.source().name));
}

Result<void> Job::settle() {
  if (!plan_.destination().settle) return {};
  return plan_.destination().settle(plan_.destination_offset() + summary().bytes);
}

io::Task<Result<void>> Job::flush() {
  auto flushed = co_await plan_.destination().device->flush();
  if (flushed) co_return flushed;
  co_return fail(flushed.error().code,
                 fmt::format("bringing {} to stable storage: {}", plan_.destination().name, flushed.error().text()));
}

io::Task<Result<void>> Job::verify() {
  phase_ = Phase::kVerifying;
  co_await pass(0, Depth(options_.depth));
  if (!ending()) co_return Result<void>();
  if (!error_) co_return fail(ECANCELED, "interrupted while verifying; the copy itself is complete");
  if (error_->code != EILSEQ) co_return std::unexpected(*error_);
  // What the journal says is not so, and nobody may go on from it.
  if (journal_) static_cast<void>(journal_->remove());
  co_return fail(EILSEQ, fmt::format("{} differs from {}: its byte at offset {} is the first that is not what was "
                                     "copied to it",
                                     plan_.destination().name, plan_.source().name, compare_.first_difference()));
}

// --- One pass over all pieces ---

Depth Job::depth_of_copy() const {
  if (plan_.overlapping()) return Depth(1);
  if (options_.depth == 0 && !direct_.empty()) return Depth(limits::kDirectCopyDepth);
  return Depth(options_.depth);
}

io::Task<void> Job::pass(std::uint64_t from, Depth depth) {
  pieces_.emplace(plan_, sizes(phase_ == Phase::kVerifying), from);
  depth_.emplace(depth);
  done_ = from;
  moved_ = 0;
  all_begun_ = false;
  under_way_.assign(depth.most(), kUnknown);
  for (std::size_t slot = 0; slot < depth.most(); ++slot) io::spawn(work(slot));
  co_await workers_.drained();
}

PieceSizes Job::sizes(bool verifying) const {
  std::uint64_t request = options_.request_bytes;
  if (options_.rate != 0) {
    const std::uint64_t eighth = options_.rate / 8 / kUnit * kUnit;
    request = std::clamp<std::uint64_t>(eighth, limits::kLeastCopyRequestBytes, request);
  }
  const bool skewed = plan_.source_offset() % kUnit != plan_.destination_offset() % kUnit;
  if (skewed || verifying) request -= std::min(request - kUnit, kSkewBytes);
  std::uint64_t direct = request;
  if (!verifying && !direct_.empty()) {
    const DirectWay& way = plan_.direct_ways().front();
    // Of a large piece nobody sees the rate; a clone moves nothing.
    const bool in_small_pieces = options_.rate != 0 && way.way != Way::kClone;
    direct = in_small_pieces ? std::clamp(request / way.unit * way.unit, way.unit, way.most) : way.most;
  }
  return {.request = request, .zeroes = limits::kCopyZeroBytes, .direct = direct};
}

io::Task<void> Job::work(std::size_t slot) {
  const io::Gate::Pass inside(workers_);
  while (!ending() && !all_begun_) {
    if (slot >= depth_->now()) {
      co_await deeper_;
      continue;
    }
    const auto piece = co_await pieces_->next();
    if (!piece) {
      end_with(piece.error());
      break;
    }
    if (!*piece) {
      all_begun_ = true;
      wake_workers();
      break;
    }
    const std::uint64_t length = (*piece)->length;
    under_way_[slot] = (*piece)->source - plan_.source_offset();
    while (paused_ && !ending()) co_await resumed_;
    if (!(*piece)->zero || (*piece)->way == Way::kHostMemory) co_await throttle(length);
    if (ending()) break;
    const auto moved = co_await move(**piece);
    if (!moved) {
      end_with(moved.error());
      break;
    }
    under_way_[slot] = kUnknown;
    done_ += length;
    if ((*piece)->way != Way::kSkip) moved_ += length;
    measure(**piece);
  }
}

/// What neither disk had to do with says nothing of how many pieces they should have.
void Job::measure(const Piece& piece) {
  if (piece.zero || (piece.way != Way::kHostMemory && phase_ != Phase::kVerifying)) return;
  const unsigned before = depth_->now();
  depth_->moved(piece.length, io::Reactor::current().now());
  if (depth_->now() > before) deeper_.wake_all();
}

void Job::wake_workers() {
  resumed_.wake_all();
  deeper_.wake_all();
}

io::Task<Result<void>> Job::move(Piece piece) {
  if (phase_ == Phase::kVerifying) return compare_.move(piece);
  if (piece.way == Way::kHostMemory) return host_memory_.move(piece);
  return move_directly(piece);
}

io::Task<Result<void>> Job::move_directly(Piece piece) {
  if (piece.way == Way::kSkip) {
    account_.add(Way::kSkip, piece.length);
    co_return Result<void>();
  }
  auto moved = co_await mover_of(piece.way).move(piece);
  if (moved || moved.error().code != ENOTSUP) co_return moved;
  const Error refusal = moved.error();
  if (plan_.only()) {
    co_return fail(EOPNOTSUPP,
                   fmt::format("only {} is wanted, and it did not work: {}", name(*plan_.only()), refusal.text()));
  }
  count_fallback(piece.way, refusal.text());
  moved = co_await move_in_parts(piece, longer_way(piece));
  co_return moved;
}

/// Moves a piece that was made for another way, part by part.
io::Task<Result<void>> Job::move_in_parts(Piece piece, Way way) {
  piece.way = way;
  const std::uint64_t most = most_of(way);
  const std::uint64_t end = piece.destination + piece.length;
  while (piece.destination < end && !ending()) {
    const std::uint64_t stop = piece.destination + most - (piece.destination + most) % kUnit;
    piece.length = std::min(stop, end) - piece.destination;
    auto moved = co_await move(piece);
    if (!moved) co_return moved;
    piece.source += piece.length;
    piece.destination += piece.length;
  }
  if (piece.destination < end) co_return fail(ECANCELED, "interrupted");
  co_return Result<void>();
}

io::Task<void> Job::conclude() {
  for (const std::unique_ptr<Mover>& mover : direct_) co_await mover->conclude();
}

Mover& Job::mover_of(Way way) {
  for (std::size_t i = 0; i < direct_.size(); ++i) {
    if (plan_.direct_ways()[i].way == way) return *direct_[i];
  }
  return zeroes_;
}

/// The next one that is open, for a piece that its own way cannot move.
Way Job::longer_way(const Piece& piece) const {
  if (!piece.zero) {
    for (const DirectWay& way : plan_.direct_ways()) {
      if (way.way > piece.way) return way.way;
    }
  }
  return Way::kHostMemory;
}

std::uint64_t Job::most_of(Way way) const {
  for (const DirectWay& direct : plan_.direct_ways()) {
    if (direct.way == way) return direct.most;
  }
  return sizes(false).request;
}

void Job::count_fallback(Way from, const std::string& reason) {
  ++account_.fallbacks;
  const auto known = std::ranges::find_if(
      fallbacks_, [&](const Fallback& fallback) { return fallback.from == from && fallback.reason == reason; });
  if (known != fallbacks_.end()) {
    ++known->pieces;
  } else if (fallbacks_.size() < limits::kCopyReasons) {
    fallbacks_.push_back({from, reason, 1});
  }
}

/// Waits as long as the rate asks for. Who comes first has taken his share first, so that no piece is overtaken for
/// ever.
io::Task<void> Job::throttle(std::uint64_t bytes) {
  if (!bucket_) co_return;
  io::Reactor& reactor = io::Reactor::current();
  const io::TimePoint until = reactor.now() + bucket_->wait(bytes, reactor.now());
  bucket_->take(bytes, reactor.now());
  while (!ending() && reactor.now() < until) {
    const io::Duration step = std::min<io::Duration>(until - reactor.now(), kThrottleStep);
    co_await io::sleep(reactor, step);
  }
}

// --- The journal ---

/// All bytes before this position have been written.
std::uint64_t Job::settled_until() const {
  if (plan_.backward()) return 0;
  std::uint64_t until = pieces_ ? pieces_->position() : resumed_at_;
  for (const std::uint64_t begin : under_way_) until = std::min(until, begin);
  return std::min(until, plan_.most());
}

io::Task<void> Job::keep_journal() {
  const io::Gate::Pass inside(journal_keeper_);
  io::Timer timer(io::Reactor::current(), [this] { journal_wake_.wake_all(); });
  while (!stopping_journal_) {
    timer.arm_after(options_.journal_interval);
    co_await journal_wake_;
    if (stopping_journal_ || settled_until() == journaled_) continue;
    const auto written = co_await write_journal();
    if (!written) end_with(written.error());
  }
}

/// What is written by now is brought to stable storage before the journal says that it is there.
io::Task<Result<void>> Job::write_journal() {
  JournalEntry entry = JournalEntry::of(plan_);
  entry.done = settled_until();
  auto flushed = co_await flush();
  if (!flushed) co_return flushed;
  auto written = journal_->write(entry);
  if (written) journaled_ = entry.done;
  co_return written;
}

// --- The end, and what there is to be told ---

void Job::cancel() {
  canceled_ = true;
  for (const std::unique_ptr<Mover>& mover : direct_) mover->cancel();
  wake_workers();
  end_streams();
}

void Job::pause() {
  paused_ = true;
}

void Job::resume() {
  paused_ = false;
  resumed_.wake_all();
}

void Job::end_with(const Error& error) {
  if (!error_ && !(canceled_ && error.code == ECANCELED)) error_ = error;
  for (const std::unique_ptr<Mover>& mover : direct_) mover->cancel();
  wake_workers();
  end_streams();
}

/// Pieces that wait for the turn of one that does not come, or for the other side of a pipe.
void Job::end_streams() {
  if (plan_.source().stream != nullptr) plan_.source().stream->interrupt();
  if (plan_.destination().sink != nullptr) plan_.destination().sink->interrupt();
}

Progress Job::progress() const {
  std::uint64_t moving = 0;
  for (const std::unique_ptr<Mover>& mover : direct_) moving += mover->moving();
  Progress progress{.phase = phase_, .done = done_ + moving, .total = std::nullopt, .moved = moved_ + moving};
  if (plan_.length() != kUnknown) progress.total = plan_.length();
  return progress;
}

Summary Job::summary() const {
  Summary summary;
  summary.account = account_;
  summary.fallbacks = fallbacks_;
  for (std::size_t i = 0; i < direct_.size(); ++i) {
    if (account_.of(plan_.direct_ways()[i].way) == 0) continue;
    summary.through = direct_[i]->through();
    if (const block::CopyAccount* const storage = direct_[i]->of_storage()) summary.storage = *storage;
  }
  const bool copied = phase_ != Phase::kCopying;
  summary.bytes = copied ? plan_.most() : std::min(done_, plan_.most());
  if (plan_.source().stream != nullptr) summary.bytes = std::min(summary.bytes, plan_.source().stream->end());
  summary.contiguous = copied ? summary.bytes : settled_until();
  summary.resumed_at = resumed_at_;
  summary.elapsed = ended_ - started_;
  summary.processor_seconds = processor_at_end_ - processor_at_start_;
  summary.verified = options_.verify && phase_ == Phase::kDone;
  return summary;
}

}  // namespace peerlane::copy
