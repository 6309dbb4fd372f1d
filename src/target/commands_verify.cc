// VERIFY (SBC-4 §5.36 to §5.39), WRITE AND VERIFY (§5.40 to §5.43).

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/limits.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

constexpr std::uint8_t kByteCheckBit = 2;  // the most significant bit of BYTCHK in byte 1

// BYTCHK.
constexpr std::uint8_t kMediumOnly = 0;
constexpr std::uint8_t kCompareAll = 1;
constexpr std::uint8_t kCompareOne = 3;

Completion miscompare(scsi::Lba lba) {
  scsi::Sense sense;
  sense.key = scsi::SenseKey::kMiscompare;
  sense.code = scsi::sense_codes::kMiscompareDuringVerify;
  sense.information = lba.value;
  return Completion::check(sense);
}

/// The first block of `found` that is not as `expected`: block by block, or all the same if `expected` is one block.
std::optional<std::size_t> first_difference(ByteView found, ByteView expected, std::size_t block_size) {
  const std::size_t step = expected.size() == found.size() ? block_size : 0;
  for (std::size_t block = 0; block * block_size < found.size(); ++block) {
    const ByteView wanted = expected.subspan(block * step, block_size);
    if (std::memcmp(found.data() + block * block_size, wanted.data(), block_size) != 0) return block;
  }
  return std::nullopt;
}

/// Copies Data-Out into memory of its own and gives the buffer back: a task that held one while it waits for another
/// could wait for ever, if all tasks of its session did.
io::Task<bool> copy_data_out(Command& command, std::uint64_t offset, std::vector<std::uint8_t>& into) {
  std::optional<io::Buffer> buffer = co_await command.receive(offset, into.size());
  if (!buffer) co_return false;
  std::memcpy(into.data(), buffer->bytes().data(), into.size());
  co_return true;
}

}  // namespace

io::Task<Completion> verify_blocks(CommandContext context) {
  LogicalUnit& unit = context.unit;
  Command& command = context.command;
  const std::uint8_t mode = context.blocks.byte_check;
  if (mode != kMediumOnly && mode != kCompareAll && mode != kCompareOne) {
    co_return Completion::check(scsi::invalid_field_in_cdb(1, kByteCheckBit));
  }
  const std::size_t block_size = unit.block_size();
  const std::uint64_t total = byte_length(unit, context.blocks.count);
  const std::uint64_t start = byte_offset(unit, context.blocks.lba);
  const std::uint64_t data_out = mode == kCompareAll ? total : mode == kCompareOne && total != 0 ? block_size : 0;
  command.set_transfer_length(data_out);
  if (data_out > command.data_out_length()) {
    co_return Completion::check(scsi::illegal_request(scsi::sense_codes::kInvalidFieldInCommandInformationUnit));
  }

  std::vector<std::uint8_t> expected(
      mode == kMediumOnly ? 0 : std::min<std::uint64_t>(data_out, limits::kVerifyPieceBytes));
  if (mode == kCompareOne && total != 0) {
    const bool received = co_await copy_data_out(command, 0, expected);
    if (!received) co_return Completion::good();
  }
  for (std::uint64_t done = 0; done < total && !command.aborted();) {
    const std::size_t piece = std::min<std::uint64_t>(total - done, limits::kVerifyPieceBytes);
    if (mode == kCompareAll) {
      expected.resize(piece);
      const bool received = co_await copy_data_out(command, done, expected);
      if (!received) co_return Completion::good();
    }
    std::optional<io::Buffer> buffer = co_await command.allocate(piece);
    if (!buffer) co_return Completion::good();
    RangeLock::Pass pass(unit.ranges(), RangeLock::Mode::kShared, start + done, piece);
    if (!pass.granted()) {
      auto refused = co_await wait_for(context, pass);
      if (refused) co_return *refused;
    }
    auto read = co_await unit.device().read(start + done, buffer->bytes());
    const scsi::Lba lba{(start + done) / block_size};
    if (!read) co_return device_failure(read.error(), MediumAccess::kRead, lba);
    if (mode != kMediumOnly) {
      const auto difference = first_difference(buffer->bytes(), expected, block_size);
      if (difference) co_return miscompare(lba + scsi::BlockCount{*difference});
    }
    if (turn_ends(done, piece)) co_await io::yield(command.executor());
    done += piece;
  }
  co_return Completion::good();
}

io::Task<Completion> write_and_verify_blocks(CommandContext context) {
  LogicalUnit& unit = context.unit;
  Command& command = context.command;
  const std::uint8_t mode = context.blocks.byte_check;
  if (mode != kMediumOnly && mode != kCompareAll) {
    co_return Completion::check(scsi::invalid_field_in_cdb(1, kByteCheckBit));
  }
  const std::uint64_t total = byte_length(unit, context.blocks.count);
  const std::uint64_t start = byte_offset(unit, context.blocks.lba);
  command.set_transfer_length(total);
  const std::uint64_t given = std::min<std::uint64_t>(total, command.data_out_length());
  if (given % unit.block_size() != 0) {
    co_return Completion::check(scsi::illegal_request(scsi::sense_codes::kInvalidFieldInCommandInformationUnit));
  }
  // What is verified is what the medium has, so the data have to reach it first.
  const bool flush = unit.capabilities().volatile_cache;
  std::vector<std::uint8_t> expected;
  for (std::uint64_t done = 0; done < given;) {
    const std::size_t piece = std::min<std::uint64_t>(given - done, limits::kVerifyPieceBytes);
    const scsi::Lba lba{(start + done) / unit.block_size()};
    std::optional<io::Buffer> buffer = co_await command.receive(done, piece);
    if (!buffer || command.aborted()) co_return Completion::good();
    RangeLock::Pass pass(unit.ranges(), RangeLock::Mode::kShared, start + done, piece);
    if (!pass.granted()) {
      auto refused = co_await wait_for(context, pass);
      if (refused) co_return *refused;
    }
    if (mode == kCompareAll) expected.assign(buffer->bytes().begin(), buffer->bytes().end());
    auto written = co_await unit.device().write(start + done, buffer->bytes(), block::WriteFlags::kNone);
    if (written && flush) written = co_await unit.device().flush();
    if (!written) co_return device_failure(written.error(), MediumAccess::kWrite, lba);
    auto read = co_await unit.device().read(start + done, buffer->bytes());
    if (!read) co_return device_failure(read.error(), MediumAccess::kRead, lba);
    if (mode == kCompareAll) {
      const auto difference = first_difference(buffer->bytes(), expected, unit.block_size());
      if (difference) co_return miscompare(lba + scsi::BlockCount{*difference});
    }
    if (turn_ends(done, piece)) co_await io::yield(command.executor());
    done += piece;
  }
  co_return Completion::good();
}

}  // namespace peerlane::target
