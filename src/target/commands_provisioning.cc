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
    auto written = co_await context.unit.device().write(start + done, piece, block::WriteFlags::kNone);
    if (!written) {
      const scsi::Lba lba{(start + done) / context.unit.block_size()};
      co_return device_failure(written.error(), MediumAccess::kWrite, lba);
    }
    done += piece.size();
  }
  auto finished = co_await finish_change(context);
  co_return finished;
}

io::Task<Completion> write_zero_blocks(CommandContext context) {
  const std::uint64_t total = byte_length(context.unit, context.blocks.count);
  const std::uint64_t start = byte_offset(context.unit, context.blocks.lba);
  auto written = co_await context.unit.device().write_zeroes(start, total, context.blocks.unmap);
  if (!written) co_return device_failure(written.error(), MediumAccess::kWrite, context.blocks.lba);
  auto finished = co_await finish_change(context);
  co_return finished;
}

}  // namespace

io::Task<Completion> unmap_blocks(CommandContext context) {
  LogicalUnit& unit = context.unit;
  const std::size_t length = scsi::get_field(context.cdb(), kUnmapListLength);
  if (length == 0) co_return Completion::good();
  ParameterList received = co_await receive_parameter_list(context, length);
  if (received.refused) co_return *received.refused;
  if (!received.bytes) co_return Completion::good();
  const auto list = scsi::UnmapList::decode(received.bytes->bytes());
  if (!list) co_return Completion::check(scsi::illegal_request(scsi::sense_codes::kParameterListLengthError));
  if (const auto sense = check_unmap_list(unit, *list)) co_return Completion::check(*sense);

  for (std::size_t i = 0; i < list->size() && !context.command.aborted(); ++i) {
    const scsi::UnmapRange range = (*list)[i];
    if (range.count.value == 0) continue;
    auto unmapped = co_await unit.device().unmap(byte_offset(unit, range.lba), byte_length(unit, range.count));
    if (!unmapped) co_return device_failure(unmapped.error(), MediumAccess::kWrite, range.lba);
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
  const bool zeroes = std::ranges::all_of(block, [](std::uint8_t byte) { return byte == 0; });
  if (zeroes && unit.capabilities().write_zeroes) {
    auto completion = co_await write_zero_blocks(context);
    co_return completion;
  }
  auto completion = co_await write_pattern(context, std::move(block));
  co_return completion;
}

}  // namespace peerlane::target
