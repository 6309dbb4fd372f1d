// SANITIZE (SBC-4 §5.28, §4.11): OVERWRITE, BLOCK ERASE, EXIT FAILURE MODE. There is no CRYPTOGRAPHIC ERASE, since no
// disk here has a key of its own to throw away.
//
// The operation goes on by itself, apart from its command: an abort, a reset or the end of the session does not end it.
// It has the whole disk for itself, and commands are refused until it is over.

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "base/log.h"
#include "scsi/sanitize.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"
#include "target/scratch.h"

namespace peerlane::target {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookAgain = 1ms;  // whether the disk is free
constexpr auto kAskAgain = 20ms;  // whether the operation has ended
constexpr std::uint8_t kServiceActionBit = 4;
constexpr scsi::CdbField kListLength{scsi::kSanitizeParameterListLength, 2};

/// What is to be done.
struct Sanitizing {
  std::vector<std::uint8_t> block;  // what each block is overwritten with; empty: BLOCK ERASE
  unsigned passes = 1;
  bool invert = false;
};

/// Tells what became of it to the command, if that still waits: nothing while it goes on.
using Outcome = std::shared_ptr<std::optional<bool>>;

/// How far it has come, for REQUEST SENSE.
class Progress {
 public:
  Progress(UnitCondition& condition, std::uint64_t total) : condition_(condition), total_(total) {}
  void add(std::uint64_t bytes) {
    done_ += bytes;
    condition_.set_progress(
        static_cast<std::uint16_t>(static_cast<double>(done_) / static_cast<double>(total_) * 65535));
  }

 private:
  UnitCondition& condition_;
  const std::uint64_t total_;
  std::uint64_t done_ = 0;
};

io::Task<bool> erase_blocks(LogicalUnit& unit, io::Executor& executor, const Background::Pass& work) {
  const std::uint64_t end = unit.capacity().value * unit.block_size();
  Progress progress(unit.condition(), end);
  for (std::uint64_t at = 0; at < end;) {
    if (work.stopping()) co_return false;
    const std::uint64_t next = end_of_turn(at, end);
    auto unmapped = co_await unit.device().unmap(at, next - at);
    if (!unmapped) co_return false;
    progress.add(next - at);
    at = next;
    co_await io::yield(executor);
  }
  co_return true;
}

io::Task<bool> overwrite_blocks(LogicalUnit& unit, io::Executor& executor, const Background::Pass& work,
                                const Sanitizing& what) {
  const std::uint64_t end = unit.capacity().value * unit.block_size();
  Progress progress(unit.condition(), end * what.passes);
  const Scratch scratch(limits::kMaxBufferBytes);
  const ByteSpan pattern = scratch.bytes();
  for (std::size_t at = 0; at < pattern.size(); at += what.block.size()) {
    std::memcpy(pattern.data() + at, what.block.data(), what.block.size());
  }
  for (unsigned pass = 0; pass < what.passes; ++pass) {
    if (pass != 0 && what.invert) {
      for (std::uint8_t& byte : pattern) byte = static_cast<std::uint8_t>(~byte);
    }
    for (std::uint64_t at = 0; at < end;) {
      if (work.stopping()) co_return false;
      const ByteView piece = pattern.first(std::min<std::uint64_t>(end - at, pattern.size()));
      auto written = co_await unit.device().write(at, piece, block::WriteFlags::kNone);
      if (!written) co_return false;
      progress.add(piece.size());
      if (turn_ends(at, piece.size())) co_await io::yield(executor);
      at += piece.size();
    }
    auto flushed = co_await unit.device().flush();
    if (!flushed) co_return false;
  }
  co_return true;
}

/// The operation. UnitCondition::begin_sanitize has been done.
io::Task<void> run_sanitize(LogicalUnit& unit, io::Executor& executor, Background::Pass pass, Sanitizing what,
                            Outcome outcome) {
  const Background::Pass work(std::move(pass));
  const Sanitizing plan(std::move(what));
  const Outcome told(std::move(outcome));
  const io::TimePoint least = executor.now() + limits::kSanitizeLeast;
  bool success = false;
  {
    // What was under way to the disk arrives there first; what waits for it is refused.
    RangeLock::Pass whole(unit.ranges(), RangeLock::Mode::kExclusive, 0, unit.capacity().value * unit.block_size());
    while (!whole.granted() && !work.stopping()) co_await io::sleep(executor, kLookAgain);
    if (!work.stopping()) {
      success = plan.block.empty() ? co_await erase_blocks(unit, executor, work)
                                   : co_await overwrite_blocks(unit, executor, work, plan);
    }
    if (success) {
      auto flushed = co_await unit.device().flush();
      success = flushed.has_value();
    }
  }
  // Initiators find out by asking that it has begun, and may take one that ends too soon for one that never began.
  while (executor.now() < least && !work.stopping()) co_await io::sleep(executor, kAskAgain);
  unit.condition().end_sanitize(success);
  // If this fails, a restart will say that the operation has failed: to do it again does no harm.
  auto recorded = co_await unit.sanitize_record().save(unit.condition(), executor);
  *told = success;
  log::info("unit {} of {}: sanitize operation {}{}", unit.identity().serial, unit.identity().target_name,
            success ? "completed" : "failed",
            recorded ? std::string() : ", which could not be recorded: " + recorded.error().text());
}

/// Receives the parameter list of OVERWRITE and makes of it what is to be done.
struct Overwrite {
  Sanitizing what;
  std::optional<Completion> refused;
};
io::Task<Overwrite> receive_overwrite(CommandContext context, std::size_t length) {
  Overwrite result;
  const std::size_t block_size = context.unit.block_size();
  if (length <= scsi::kOverwriteHeaderBytes || length > scsi::kOverwriteHeaderBytes + block_size) {
    result.refused = Completion::check(scsi::invalid_field_in_cdb(scsi::kSanitizeParameterListLength));
    co_return result;
  }
  ParameterList list = co_await receive_parameter_list(context, length);
  if (!list) {
    result.refused = list.error();
    co_return result;
  }
  const auto overwrite = scsi::decode_sanitize_overwrite(list->bytes(), block_size);
  if (!overwrite) {
    result.refused = Completion::check(overwrite.error());
    co_return result;
  }
  result.what.passes = overwrite->passes;
  result.what.invert = overwrite->invert;
  result.what.block.resize(block_size);
  for (std::size_t i = 0; i < block_size; ++i) {
    result.what.block[i] = overwrite->pattern[i % overwrite->pattern.size()];
  }
  co_return result;
}

Completion not_recorded() {
  scsi::Sense sense;
  sense.key = scsi::SenseKey::kHardwareError;
  sense.code = scsi::sense_codes::kInternalTargetFailure;
  return Completion::check(sense);
}

io::Task<Completion> exit_failure_mode(CommandContext context) {
  UnitCondition& condition = context.unit.condition();
  if (condition.sanitize_failed() && !condition.failure_unrestricted()) {
    co_return Completion::check(scsi::invalid_field_in_cdb(1, kServiceActionBit));
  }
  if (!condition.sanitize_failed()) co_return Completion::good();
  condition.forget_sanitize_failure();
  auto recorded = co_await context.unit.sanitize_record().save(condition, context.command.executor());
  co_return recorded ? Completion::good() : not_recorded();
}

}  // namespace

io::Task<Completion> sanitize(CommandContext context) {
  const std::uint16_t action = *context.description.service_action;
  const std::size_t length = scsi::get_field(context.cdb(), kListLength);
  if (action != scsi::kSanitizeOverwrite && length != 0) {
    co_return Completion::check(scsi::invalid_field_in_cdb(scsi::kSanitizeParameterListLength));
  }
  if (action == scsi::kSanitizeExitFailureMode) {
    const Completion left = co_await exit_failure_mode(context);
    co_return left;
  }

  UnitCondition& condition = context.unit.condition();
  const bool unrestricted = (context.cdb()[1] & scsi::kSanitizeUnrestricted) != 0;
  // What failed in restricted mode is made good only by an operation in restricted mode.
  if (condition.sanitize_failed() && !condition.failure_unrestricted() && unrestricted) {
    co_return Completion::check(scsi::invalid_field_in_cdb(1, scsi::kSanitizeUnrestrictedBit));
  }
  Overwrite overwrite;
  if (action == scsi::kSanitizeOverwrite) {
    overwrite = co_await receive_overwrite(context, length);
    if (overwrite.refused) co_return *overwrite.refused;
  }

  io::Executor& executor = context.command.executor();
  auto work = context.unit.background().enter();
  if (!work) co_return Completion{scsi::Status::kBusy, std::nullopt};
  if (!condition.begin_sanitize(unrestricted)) co_return Completion{scsi::Status::kBusy, std::nullopt};
  // From here on a crash must not hide that the disk holds a mixture.
  auto recorded = co_await context.unit.sanitize_record().save(condition, executor);
  if (!recorded) {
    condition.end_sanitize(false);
    co_return not_recorded();
  }
  const Outcome outcome = std::make_shared<std::optional<bool>>();
  io::spawn(run_sanitize(context.unit, executor, std::move(*work), std::move(overwrite.what), outcome));
  if ((context.cdb()[1] & scsi::kSanitizeImmediate) != 0) co_return Completion::good();
  while (!outcome->has_value() && !context.command.aborted()) co_await io::sleep(executor, kAskAgain);
  if (!outcome->has_value() || **outcome) co_return Completion::good();
  scsi::Sense sense;
  sense.key = scsi::SenseKey::kMediumError;
  sense.code = scsi::sense_codes::kSanitizeCommandFailed;
  co_return Completion::check(sense);
}

}  // namespace peerlane::target
