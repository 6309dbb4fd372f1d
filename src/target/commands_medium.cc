// READ, WRITE (SBC-4 §5.11 to §5.15, §5.32 to §5.35), SYNCHRONIZE CACHE (§5.28, §5.29), PRE-FETCH (§5.10), START STOP
// UNIT (§5.25).

#include <algorithm>

#include "base/limits.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"
#include "target/scratch.h"

namespace peerlane::target {
namespace {

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
  return (value + step - 1) / step * step;
}

// START STOP UNIT, byte 4 (SBC-4 table 105).
constexpr std::size_t kStartByte = 4;
constexpr std::uint8_t kPowerConditionMask = 0xf0;
constexpr std::uint8_t kPowerConditionBit = 7;
constexpr std::uint8_t kNoFlush = 0x04;
constexpr std::uint8_t kLoadEject = 0x02;
constexpr std::uint8_t kLoadEjectBit = 1;
constexpr std::uint8_t kStart = 0x01;

/// A flush whose command has had its status: if it fails, a later command has to tell.
io::Task<void> flush_later(LogicalUnit& unit, Background::Pass work) {
  const Background::Pass going_on(std::move(work));
  auto flushed = co_await unit.device().flush();
  if (!flushed) unit.condition().defer(deferred_failure(flushed.error()));
}

/// Reads blocks so that they are in memory when they are asked for. Whether that succeeds is of no consequence.
io::Task<void> prefetch(LogicalUnit& unit, io::Executor& executor, std::uint64_t start, std::uint64_t total) {
  const Scratch scratch(limits::kOptimalTransferBytes);
  for (std::uint64_t done = 0; done < total;) {
    const ByteSpan piece = scratch.bytes().first(std::min<std::uint64_t>(total - done, scratch.bytes().size()));
    auto read = co_await unit.device().read(start + done, piece);
    if (!read) co_return;
    if (turn_ends(done, piece.size())) co_await io::yield(executor);
    done += piece.size();
  }
}

io::Task<void> prefetch_later(LogicalUnit& unit, io::Executor& executor, Background::Pass work, std::uint64_t start,
                              std::uint64_t total) {
  const Background::Pass going_on(std::move(work));
  co_await prefetch(unit, executor, start, total);
}

}  // namespace

io::Task<Completion> read_blocks(CommandContext context) {
  LogicalUnit& unit = context.unit;
  Command& command = context.command;
  const std::uint64_t total = byte_length(unit, context.blocks.count);
  const std::uint64_t start = byte_offset(unit, context.blocks.lba);
  command.set_transfer_length(total);
  // FUA: from the medium, so what is newer in a volatile cache goes there first.
  if (context.blocks.fua && unit.capabilities().volatile_cache) {
    auto flushed = co_await unit.device().flush();
    if (!flushed) co_return device_failure(flushed.error(), MediumAccess::kWrite, context.blocks.lba);
  }
  // What the initiator has no room for need not be read.
  const std::uint64_t wanted = std::min(total, round_up(command.data_in_length(), unit.block_size()));
  for (std::uint64_t done = 0; done < wanted;) {
    const std::size_t piece = std::min<std::uint64_t>(wanted - done, limits::kOptimalTransferBytes);
    std::optional<io::Buffer> buffer = co_await command.allocate(piece);
    if (!buffer) co_return Completion::good();
    RangeLock::Pass pass(unit.ranges(), RangeLock::Mode::kShared, start + done, piece);
    if (!pass.granted()) {
      auto refused = co_await wait_for(context, pass);
      if (refused) co_return *refused;
    }
    auto read = co_await unit.device().read(start + done, buffer->bytes());
    if (!read) {
      command.set_transfer_length(done);
      co_return device_failure(read.error(), MediumAccess::kRead, {(start + done) / unit.block_size()});
    }
    if (command.aborted()) co_return Completion::good();
    command.send(std::move(*buffer), piece);
    if (turn_ends(done, piece)) co_await io::yield(command.executor());
    done += piece;
  }
  context.nexus.counters().count_read(context.blocks.count);
  co_return Completion::good();
}

namespace {

/// Writes the last data of a command that sends less than its CDB says (RFC 7143 §11.4.5.2): they end within the block
/// at byte `done` of the command, and the rest of that block stays as it is. Nothing if that succeeds. libiscsi's tests
/// of reservations write 512 bytes whatever the block size.
io::Task<std::optional<Completion>> write_part_of_block(CommandContext context, std::uint64_t done, std::size_t part,
                                                        block::WriteFlags flags) {
  LogicalUnit& unit = context.unit;
  const std::uint64_t at = byte_offset(unit, context.blocks.lba) + done;
  std::optional<io::Buffer> buffer = co_await context.command.receive(done, part);
  if (!buffer || context.command.aborted()) co_return Completion::good();
  RangeLock::Pass pass(unit.ranges(), RangeLock::Mode::kExclusive, at, unit.block_size());
  auto refused = co_await wait_for(context, pass);
  if (refused) co_return refused;
  const Scratch block(unit.block_size());
  auto read = co_await unit.device().read(at, block.bytes());
  if (!read) co_return device_failure(read.error(), MediumAccess::kRead, {at / unit.block_size()});
  std::ranges::copy(buffer->bytes(), block.bytes().begin());
  auto written = co_await unit.device().write(at, block.bytes(), flags);
  if (!written) co_return device_failure(written.error(), MediumAccess::kWrite, {at / unit.block_size()});
  co_return std::nullopt;
}

}  // namespace

io::Task<Completion> write_blocks(CommandContext context) {
  LogicalUnit& unit = context.unit;
  Command& command = context.command;
  const std::uint64_t total = byte_length(unit, context.blocks.count);
  const std::uint64_t start = byte_offset(unit, context.blocks.lba);
  command.set_transfer_length(total);
  // Only what the initiator sends is written.
  const std::uint64_t given = std::min<std::uint64_t>(total, command.data_out_length());
  const std::size_t part_of_block = given % unit.block_size();
  const std::uint64_t whole_blocks = given - part_of_block;
  const bool fua = must_reach_medium(unit, context.blocks.fua) && unit.capabilities().fua;
  const block::WriteFlags flags = fua ? block::WriteFlags::kFua : block::WriteFlags::kNone;
  for (std::uint64_t done = 0; done < whole_blocks;) {
    const std::size_t piece = std::min<std::uint64_t>(whole_blocks - done, limits::kMaxBufferBytes);
    std::optional<io::Buffer> buffer = co_await command.receive(done, piece);
    if (!buffer || command.aborted()) co_return Completion::good();
    RangeLock::Pass pass(unit.ranges(), RangeLock::Mode::kShared, start + done, piece);
    if (!pass.granted()) {
      auto refused = co_await wait_for(context, pass);
      if (refused) co_return *refused;
    }
    auto written = co_await unit.device().write(start + done, buffer->bytes(), flags);
    if (!written) {
      command.set_transfer_length(done + piece);
      co_return device_failure(written.error(), MediumAccess::kWrite, {(start + done) / unit.block_size()});
    }
    if (turn_ends(done, piece)) co_await io::yield(command.executor());
    done += piece;
  }
  if (part_of_block != 0) {
    auto failed = co_await write_part_of_block(context, whole_blocks, part_of_block, flags);
    if (failed) co_return *failed;
  }
  // Asked for now and not before: WCE may have been switched off meanwhile, by a MODE SELECT that flushed without this.
  if (!fua && must_reach_medium(unit, context.blocks.fua)) {
    auto flushed = co_await unit.device().flush();
    if (!flushed) co_return device_failure(flushed.error(), MediumAccess::kWrite, context.blocks.lba);
  }
  context.nexus.counters().count_write(context.blocks.count);
  co_return Completion::good();
}

io::Task<Completion> synchronize_cache(CommandContext context) {
  if (context.blocks.immediate) {
    if (auto work = context.unit.background().enter()) {
      io::spawn(flush_later(context.unit, std::move(*work)));
      co_return Completion::good();
    }
  }
  auto flushed = co_await context.unit.device().flush();
  if (!flushed) co_return device_failure(flushed.error(), MediumAccess::kWrite, context.blocks.lba);
  co_return Completion::good();
}

io::Task<Completion> prefetch_blocks(CommandContext context) {
  LogicalUnit& unit = context.unit;
  const std::uint64_t total = byte_length(unit, context.blocks.count);
  const std::uint64_t start = byte_offset(unit, context.blocks.lba);
  // GOOD says that not all of the blocks are in a cache now, CONDITION MET that they are (SBC-4 §5.10).
  if (!unit.capabilities().prefetch || total > limits::kMaxPrefetchBytes) co_return Completion::good();
  io::Executor& executor = context.command.executor();
  if (!context.blocks.immediate) {
    co_await prefetch(unit, executor, start, total);
  } else if (auto work = unit.background().enter()) {
    io::spawn(prefetch_later(unit, executor, std::move(*work), start, total));
  }
  co_return Completion{scsi::Status::kConditionMet, std::nullopt};
}

io::Task<Completion> start_stop_unit(CommandContext context) {
  const std::uint8_t flags = context.cdb()[kStartByte];
  // There are no power conditions but active, and a disk that is not removable cannot be ejected.
  if ((flags & kPowerConditionMask) != 0) {
    co_return Completion::check(scsi::invalid_field_in_cdb(kStartByte, kPowerConditionBit));
  }
  if ((flags & kLoadEject) != 0) {
    co_return Completion::check(scsi::invalid_field_in_cdb(kStartByte, kLoadEjectBit));
  }
  if ((flags & kStart) == 0 && (flags & kNoFlush) == 0) {
    auto flushed = co_await context.unit.device().flush();
    if (!flushed) co_return device_failure(flushed.error(), MediumAccess::kWrite, {});
  }
  context.unit.set_started((flags & kStart) != 0);
  co_return Completion::good();
}

}  // namespace peerlane::target
