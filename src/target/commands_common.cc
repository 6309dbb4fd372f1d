#include <algorithm>
#include <cerrno>
#include <chrono>

#include "base/limits.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"

namespace peerlane::target {

namespace codes = scsi::sense_codes;

namespace {

// A range is held for the time of a disk access: a memory disk is done with it in no time, others within milliseconds.
constexpr unsigned kQuickLooks = 64;
constexpr auto kLookAgain = std::chrono::microseconds(100);

}  // namespace

void send_answer(Command& command, const CommandDescription& description, io::Buffer buffer, std::size_t size) {
  if (description.allocation_length.width != 0) {
    size = std::min<std::size_t>(size, scsi::get_field(command.cdb(), description.allocation_length));
  }
  if (size != 0) command.send(std::move(buffer), size);
}

Completion device_failure(const Error& error, MediumAccess access, scsi::Lba lba) {
  scsi::Sense sense;
  switch (error.code) {
    case ENOMEM:
    case EAGAIN:
      return {scsi::Status::kBusy, std::nullopt};
    case EIO:
      sense.key = scsi::SenseKey::kMediumError;
      sense.code = access == MediumAccess::kRead ? codes::kUnrecoveredReadError : codes::kWriteError;
      sense.information = lba.value;
      break;
    case ENOSPC:
      sense.key = scsi::SenseKey::kDataProtect;
      sense.code = codes::kSpaceAllocationFailed;
      break;
    case EROFS:
      sense.key = scsi::SenseKey::kDataProtect;
      sense.code = codes::kWriteProtected;
      break;
    default:
      sense.key = scsi::SenseKey::kHardwareError;
      sense.code = codes::kInternalTargetFailure;
      break;
  }
  return Completion::check(sense);
}

scsi::Sense deferred_failure(const Error& error) {
  const Completion failure = device_failure(error, MediumAccess::kWrite, {});
  scsi::Sense sense = failure.sense.value_or(scsi::Sense{});
  if (!failure.sense) {
    sense.key = scsi::SenseKey::kHardwareError;
    sense.code = codes::kInternalTargetFailure;
  }
  sense.information.reset();
  return sense;
}

io::Task<std::optional<Completion>> wait_for(CommandContext context, RangeLock::Pass& pass) {
  std::optional<Completion> refused;
  for (unsigned looks = 0; !refused && !pass.granted(); ++looks) {
    if (context.command.aborted()) {
      refused = Completion::good();
    } else if (context.unit.condition().sanitizing()) {
      refused = Completion::check(*context.unit.condition().sanitize_sense());
    } else if (looks < kQuickLooks) {
      co_await io::yield(context.command.executor());
    } else {
      co_await io::sleep(context.command.executor(), kLookAgain);
    }
  }
  co_return refused;
}

io::Task<ParameterList> receive_parameter_list(CommandContext context, std::size_t length) {
  context.command.set_transfer_length(length);
  if (length > limits::kMaxParameterListBytes) {
    co_return std::unexpected(Completion::check(scsi::illegal_request(codes::kParameterListLengthError)));
  }
  if (length > context.command.data_out_length()) {
    co_return std::unexpected(Completion::check(scsi::illegal_request(codes::kInvalidFieldInCommandInformationUnit)));
  }
  std::optional<io::Buffer> bytes = co_await context.command.receive(0, length);
  if (!bytes || context.command.aborted()) co_return std::unexpected(Completion::good());
  co_return std::move(*bytes);
}

}  // namespace peerlane::target
