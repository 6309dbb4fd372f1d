// What reads and writes as one, with its blocks for itself: COMPARE AND WRITE (SBC-4 §5.3), ORWRITE (§5.11), WRITE
// ATOMIC (§5.44). No other command that accesses the same blocks sees, or is lost in, a state in between, on whatever
// reactor it runs.

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"
#include "target/scratch.h"

namespace peerlane::target {
namespace {

/// MISCOMPARE; INFORMATION is the offset of the first byte that differs in what was to be compared.
Completion miscompare_at(std::uint64_t offset) {
  scsi::Sense sense;
  sense.key = scsi::SenseKey::kMiscompare;
  sense.code = scsi::sense_codes::kMiscompareDuringVerify;
  sense.information = offset;
  return Completion::check(sense);
}

/// Compares the medium from byte `start` on with `expected`. Nothing if it is the same.
io::Task<std::optional<Completion>> compare_medium(LogicalUnit& unit, std::uint64_t start, ByteView expected) {
  const Scratch scratch(std::min(expected.size(), limits::kVerifyPieceBytes));
  for (std::size_t done = 0; done < expected.size();) {
    const ByteSpan found = scratch.bytes().first(std::min(expected.size() - done, scratch.bytes().size()));
    auto read = co_await unit.device().read(start + done, found);
    if (!read) {
      co_return device_failure(read.error(), MediumAccess::kRead, {(start + done) / unit.block_size()});
    }
    const auto difference = std::ranges::mismatch(found, expected.subspan(done, found.size())).in1;
    if (difference != found.end()) {
      co_return miscompare_at(done + static_cast<std::size_t>(difference - found.begin()));
    }
    done += found.size();
  }
  co_return std::nullopt;
}

/// Writes `data`, on stable storage where the unit or the command asks for it.
io::Task<Completion> write_whole(CommandContext context, std::uint64_t start, ByteView data) {
  LogicalUnit& unit = context.unit;
  const bool fua = must_reach_medium(unit, context.blocks.fua) && unit.capabilities().fua;
  const block::WriteFlags flags = fua ? block::WriteFlags::kFua : block::WriteFlags::kNone;
  auto written = co_await unit.device().write(start, data, flags);
  // Asked for now and not before: WCE may have been switched off meanwhile, by a MODE SELECT that flushed without this.
  if (written && !fua && must_reach_medium(unit, context.blocks.fua)) written = co_await unit.device().flush();
  if (!written) co_return device_failure(written.error(), MediumAccess::kWrite, {start / unit.block_size()});
  co_return Completion::good();
}

Completion wrong_length() {
  return Completion::check(scsi::illegal_request(scsi::sense_codes::kInvalidFieldInCommandInformationUnit));
}

}  // namespace

io::Task<Completion> compare_and_write(CommandContext context) {
  LogicalUnit& unit = context.unit;
  Command& command = context.command;
  const std::size_t half = byte_length(unit, context.blocks.count);
  const std::uint64_t start = byte_offset(unit, context.blocks.lba);
  command.set_transfer_length(2 * half);
  // Data for another number of blocks than the CDB has, 256 among them, which its field cannot hold.
  if (command.data_out_length() != 2 * half) {
    co_return Completion::check(
        scsi::invalid_field_in_cdb(scsi::transfer_length_field(scsi::OperationCode::kCompareAndWrite).offset));
  }
  if (half == 0) co_return Completion::good();
  static_assert(2 * limits::kMaxCompareBytes <= limits::kMaxBufferBytes);
  std::optional<io::Buffer> buffer = co_await command.receive(0, 2 * half);
  if (!buffer || command.aborted()) co_return Completion::good();

  RangeLock::Pass pass(unit.ranges(), RangeLock::Mode::kExclusive, start, half);
  auto refused = co_await wait_for(context, pass);
  if (refused) co_return *refused;
  const ByteView expected = buffer->bytes().first(half);
  auto different = co_await compare_medium(unit, start, expected);
  if (different) co_return *different;
  // To where a buffer is aligned as disks ask for it.
  const ByteSpan data = buffer->bytes().first(half);
  std::memcpy(data.data(), data.data() + half, half);
  auto completion = co_await write_whole(context, start, data);
  co_return completion;
}

io::Task<Completion> or_write(CommandContext context) {
  LogicalUnit& unit = context.unit;
  Command& command = context.command;
  const std::uint64_t total = byte_length(unit, context.blocks.count);
  const std::uint64_t start = byte_offset(unit, context.blocks.lba);
  command.set_transfer_length(total);
  if (command.data_out_length() < total) co_return wrong_length();
  // Each piece by itself: no block's result depends on another block.
  const Scratch scratch(std::min<std::uint64_t>(total, limits::kVerifyPieceBytes));
  for (std::uint64_t done = 0; done < total;) {
    const std::size_t piece = std::min<std::uint64_t>(total - done, limits::kVerifyPieceBytes);
    std::optional<io::Buffer> buffer = co_await command.receive(done, piece);
    if (!buffer || command.aborted()) co_return Completion::good();
    RangeLock::Pass pass(unit.ranges(), RangeLock::Mode::kExclusive, start + done, piece);
    auto refused = co_await wait_for(context, pass);
    if (refused) co_return *refused;
    const ByteSpan found = scratch.bytes().first(piece);
    auto read = co_await unit.device().read(start + done, found);
    if (!read) {
      co_return device_failure(read.error(), MediumAccess::kRead, {(start + done) / unit.block_size()});
    }
    const ByteSpan data = buffer->bytes();
    for (std::size_t i = 0; i < piece; ++i) data[i] |= found[i];
    const Completion completion = co_await write_whole(context, start + done, data);
    if (completion.status != scsi::Status::kGood) co_return completion;
    if (turn_ends(done, piece)) co_await io::yield(command.executor());
    done += piece;
  }
  co_return Completion::good();
}

io::Task<Completion> write_atomic(CommandContext context) {
  LogicalUnit& unit = context.unit;
  Command& command = context.command;
  const std::size_t total = byte_length(unit, context.blocks.count);
  const std::uint64_t start = byte_offset(unit, context.blocks.lba);
  command.set_transfer_length(total);
  if (command.data_out_length() < total) co_return wrong_length();
  if (total == 0) co_return Completion::good();
  static_assert(limits::kMaxAtomicBytes <= limits::kMaxBufferBytes);
  std::optional<io::Buffer> buffer = co_await command.receive(0, total);
  if (!buffer || command.aborted()) co_return Completion::good();
  RangeLock::Pass pass(unit.ranges(), RangeLock::Mode::kExclusive, start, total);
  auto refused = co_await wait_for(context, pass);
  if (refused) co_return *refused;
  const ByteView data = buffer->bytes();
  auto completion = co_await write_whole(context, start, data);
  co_return completion;
}

}  // namespace peerlane::target
