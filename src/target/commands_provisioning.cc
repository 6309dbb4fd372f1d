// UNMAP (SBC-4 §5.31) and WRITE SAME (§5.43, §5.44).

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/limits.h"
#include "scsi/sense_codes.h"
#include "scsi/unmap.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

constexpr scsi::CdbField kUnmapListLength{7, 2};
constexpr std::size_t kUnmapBlockDescriptorsLength = 2;  // in the parameter list's header
constexpr std::uint8_t kUnmapFlagBit = 3;                // UNMAP of WRITE SAME, byte 1

/// Checks all of the list before anything is unmapped.
std::optional<scsi::Sense> check_unmap_list(const LogicalUnit& unit, const scsi::UnmapList& list) {
  if (list.size() > limits::kMaxUnmapDescriptors) {
    return scsi::invalid_field_in_parameter_list(kUnmapBlockDescriptorsLength);
  }
  const std::uint64_t most =
      std::min<std::uint64_t>(limits::kMaxUnmapBytes / unit.block_size(), limits::kMaxUnmapBlocks);
  std::uint64_t blocks = 0;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const scsi::UnmapRange range = list[i];
    if (!scsi::within(range.lba, range.count, unit.capacity())) {
      return scsi::illegal_request(scsi::sense_codes::kLbaOutOfRange);
    }
    blocks += range.count.value;
    if (blocks > most) {
      return scsi::invalid_field_in_parameter_list(scsi::kUnmapHeaderBytes + i * scsi::kUnmapDescriptorBytes);
    }
  }
  return std::nullopt;
}

/// Flushes if the unit has to keep its promise of write through; else does nothing.
io::Task<Completion> finish_change(CommandContext context) {
  if (must_reach_medium(context.unit, false)) {
    auto flushed = co_await context.unit.device().flush();
    if (!flushed) co_return device_failure(flushed.error(), MediumAccess::kWrite, context.blocks.lba);
  }
  co_return Completion::good();
}

/// Writes `block` over all the blocks of the command.
io::Task<Completion> write_pattern(CommandContext context, std::vector<std::uint8_t> block) {
  const std::uint64_t total = byte_length(context.unit, context.blocks.count);
  const std::uint64_t start = byte_offset(context.unit, context.blocks.lba);
  const std::size_t most = std::min<std::uint64_t>(total, limits::kOptimalTransferBytes);
  std::optional<io::Buffer> buffer = co_await context.command.allocate(most);
  if (!buffer) co_return Completion::good();
  for (std::size_t at = 0; at < most; at += block.size()) {
    std::memcpy(buffer->bytes().data() + at, block.data(), block.size());
  }
  for (std::uint64_t done = 0; done < total;) {
    if (context.command.aborted()) co_return Completion::good();
    const ByteView piece = buffer->bytes().first(std::min<std::uint64_t>(total - done, most));
    RangeLock::Pass pass(context.unit.ranges(), RangeLock::Mode::kShared, start + done, piece.size());
    if (!pass.granted()) {
      auto refused = co_await wait_for(context, pass);
      if (refused) co_return *refused;
    }
    auto written = co_await context.unit.device().write(start + done, piece, block::WriteFlags::kNone);
    if (!written) {
      const scsi::Lba lba{(start + done) / context.unit.block_size()};
      co_return device_failure(written.error(), MediumAccess::kWrite, lba);
    }
    if (turn_ends(done, piece.size())) co_await io::yield(context.command.executor());
    done += piece.size();
  }
  auto finished = co_await finish_change(context);
  co_return finished;
}

enum class Clearing : std::uint8_t { kUnmap, kZero, kZeroOrUnmap };

/// Has the device unmap or zero blocks, a turn's work at a time. Nothing if that succeeds.
io::Task<std::optional<Completion>> clear_blocks(CommandContext context, Clearing how, scsi::UnmapRange range) {
  LogicalUnit& unit = context.unit;
  const std::uint64_t end = byte_offset(unit, range.lba + range.count);
  for (std::uint64_t at = byte_offset(unit, range.lba); at < end;) {
    if (context.command.aborted()) co_return Completion::good();
    const std::uint64_t next = end_of_turn(at, end);
    RangeLock::Pass pass(unit.ranges(), RangeLock::Mode::kShared, at, next - at);
    auto refused = co_await wait_for(context, pass);
    if (refused) co_return refused;
    auto cleared = how == Clearing::kUnmap ? unit.device().unmap(at, next - at)
                                           : unit.device().write_zeroes(at, next - at, how == Clearing::kZeroOrUnmap);
    const auto done = co_await std::move(cleared);
    if (!done) co_return device_failure(done.error(), MediumAccess::kWrite, {at / unit.block_size()});
    at = next;
    if (at < end) co_await io::yield(context.command.executor());
  }
  co_return std::nullopt;
}

io::Task<Completion> write_zero_blocks(CommandContext context) {
  const Clearing how = context.blocks.unmap ? Clearing::kZeroOrUnmap : Clearing::kZero;
  const scsi::UnmapRange range{context.blocks.lba, context.blocks.count};
  auto failed = co_await clear_blocks(context, how, range);
  if (failed) co_return *failed;
  auto finished = co_await finish_change(context);
  co_return finished;
}

}  // namespace

io::Task<Completion> unmap_blocks(CommandContext context) {
  LogicalUnit& unit = context.unit;
  const std::size_t length = scsi::get_field(context.cdb(), kUnmapListLength);
  if (length == 0) co_return Completion::good();
  ParameterList received = co_await receive_parameter_list(context, length);
  if (!received) co_return received.error();
  const auto list = scsi::UnmapList::decode(received->bytes());
  if (!list) co_return Completion::check(scsi::illegal_request(scsi::sense_codes::kParameterListLengthError));
  if (const auto sense = check_unmap_list(unit, *list)) co_return Completion::check(*sense);

  for (std::size_t i = 0; i < list->size() && !context.command.aborted(); ++i) {
    const scsi::UnmapRange range = (*list)[i];
    if (range.count.value == 0) continue;
    auto failed = co_await clear_blocks(context, Clearing::kUnmap, range);
    if (failed) co_return *failed;
  }
  auto finished = co_await finish_change(context);
  co_return finished;
}

io::Task<Completion> write_same(CommandContext context) {
  LogicalUnit& unit = context.unit;
  const scsi::BlockCdb& blocks = context.blocks;
  if (blocks.unmap && !unit.capabilities().unmap) {
    co_return Completion::check(scsi::invalid_field_in_cdb(1, kUnmapFlagBit));
  }
  const std::size_t data_out = blocks.no_data_out ? 0 : unit.block_size();
  context.command.set_transfer_length(data_out);
  // Exactly one block: with less there is nothing to write, and with more the initiator means something else.
  if (context.command.data_out_length() != data_out) {
    co_return Completion::check(scsi::illegal_request(scsi::sense_codes::kInvalidFieldInCommandInformationUnit));
  }
  std::vector<std::uint8_t> block(unit.block_size());
  if (!blocks.no_data_out) {
    std::optional<io::Buffer> received = co_await context.command.receive(0, data_out);
    if (!received) co_return Completion::good();
    std::memcpy(block.data(), received->bytes().data(), block.size());
  }
  if (blocks.count.value == 0) co_return Completion::good();
  // Blocks may be unmapped only where they then read as what was to be written (SBC-4 §4.7.3.4.3). WRITE SAME(10) is
  // an exception: libiscsi's tests expect that its UNMAP bit unmaps whatever the block holds, as it did in drafts of
  // SBC-3 and does in other targets, and initiators that use it send zeroes.
  const bool unmaps = blocks.unmap && context.description.operation == scsi::OperationCode::kWriteSame10;
  if (unmaps) std::ranges::fill(block, std::uint8_t{0});
  const bool zeroes = std::ranges::all_of(block, [](std::uint8_t byte) { return byte == 0; });
  if (zeroes && unit.capabilities().write_zeroes) {
    auto completion = co_await write_zero_blocks(context);
    co_return completion;
  }
  auto completion = co_await write_pattern(context, std::move(block));
  co_return completion;
}

}  // namespace peerlane::target
