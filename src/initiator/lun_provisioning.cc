// Blocks without data: UNMAP, WRITE SAME with zeroes, GET LBA STATUS (SBC-4 §4.7).
#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "initiator/lun.h"
#include "initiator/pieces.h"
#include "initiator/scsi_error.h"
#include "scsi/lba_status.h"
#include "scsi/opcodes.h"
#include "scsi/unmap.h"

namespace peerlane::initiator {
namespace {

using scsi::OperationCode;

// A unit that states no limit gets no more at a time than it can do before the command times out.
constexpr std::uint64_t kMostUnmapBytes = std::uint64_t{1} << 30;
// WRITE SAME may really write: a unit that states no limit gets what Linux gives it.
constexpr std::uint64_t kMostWriteSameBlocks = 0xffff;
constexpr std::size_t kMostStatusDescriptors = 128;  // of one GET LBA STATUS
constexpr std::array<std::uint8_t, 4096> kZeroes{};

/// At least one block, at most `most_blocks` (0: no limit) and `most_bytes`.
std::uint64_t limited(std::uint64_t most_blocks, std::uint64_t most_bytes, std::uint32_t block_size) {
  const std::uint64_t blocks = std::max<std::uint64_t>(most_bytes / block_size, 1);
  return (most_blocks == 0 ? blocks : std::min(blocks, most_blocks)) * block_size;
}

}  // namespace

std::uint64_t Lun::unmap_piece_bytes() const {
  return limited(facts_.limits.max_unmap_blocks, kMostUnmapBytes, block_size());
}

std::uint64_t Lun::write_same_piece_bytes() const {
  const std::uint64_t stated = facts_.limits.max_write_same;
  return limited(stated != 0 ? stated : kMostWriteSameBlocks, kMostUnmapBytes, block_size());
}

io::Task<Result<void>> Lun::unmap_piece(std::uint64_t offset, std::uint64_t length) {
  const scsi::UnmapRange range{{offset / block_size()}, {length / block_size()}};
  std::array<std::uint8_t, scsi::kUnmapHeaderBytes + scsi::kUnmapDescriptorBytes> list{};
  scsi::encode_unmap_list(std::span(&range, 1), list);
  Request request;
  request.lun = field_;
  request.cdb[0] = static_cast<std::uint8_t>(OperationCode::kUnmap);
  put_be16(request.cdb, 7, static_cast<std::uint16_t>(list.size()));
  request.data_out = list;
  request.repeatable = true;
  request.observer = this;
  // tgt counts a parameter list as not transferred: only the status counts.
  const auto done = co_await command(request, "unmapping");
  if (!done) co_return std::unexpected(done.error());
  co_return Result<void>();
}

io::Task<Result<void>> Lun::write_same_piece(std::uint64_t offset, std::uint64_t length, bool unmap) {
  scsi::BlockCdb cdb;
  cdb.operation = OperationCode::kWriteSame16;
  cdb.lba = {offset / block_size()};
  cdb.count = {length / block_size()};
  cdb.unmap = unmap;
  cdb.no_data_out = facts_.no_data_out;
  Request request = request_for(cdb);
  if (!cdb.no_data_out) request.data_out = ByteView(kZeroes).first(block_size());
  auto done = co_await transfer(request, "writing zeroes");
  co_return done;
}

io::Task<Result<void>> Lun::unmap_here(std::uint64_t offset, std::uint64_t length) {
  if (!capabilities_.unmap) co_return fail(ENOTSUP, "the logical unit does not unmap blocks");
  const bool command = facts_.provisioning.unmap && facts_.limits.max_unmap_blocks != 0;
  const auto piece = [this, command](std::uint64_t at, std::uint64_t part) {
    return command ? unmap_piece(at, part) : write_same_piece(at, part, true);
  };
  PieceRange range{offset, offset + length, command ? unmap_piece_bytes() : write_same_piece_bytes()};
  range.boundary = capabilities_.unmap_granularity;
  range.phase = std::uint64_t{facts_.limits.unmap_alignment.value_or(0)} * block_size();
  auto done = co_await in_pieces(range, options_.pieces, piece);
  co_return done;
}

io::Task<Result<void>> Lun::write_zeroes_here(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  if (!capabilities_.write_zeroes) co_return fail(ENOTSUP, "the logical unit has no WRITE SAME(16)");
  // With UNMAP set, blocks that are not unmapped are written: they read as zeroes either way, given LBPRZ.
  const bool unmap = may_unmap && facts_.provisioning.write_same_16 && capabilities_.unmap;
  const auto piece = [this, unmap](std::uint64_t at, std::uint64_t part) { return write_same_piece(at, part, unmap); };
  PieceRange range{offset, offset + length, write_same_piece_bytes()};
  range.boundary = unmap ? capabilities_.unmap_granularity : 0;
  range.phase = std::uint64_t{facts_.limits.unmap_alignment.value_or(0)} * block_size();
  auto done = co_await in_pieces(range, options_.pieces, piece);
  co_return done;
}

io::Task<Result<std::vector<block::Extent>>> Lun::allocation_here(std::uint64_t offset, std::uint64_t length,
                                                                  std::size_t most) {
  if (!capabilities_.allocation) co_return fail(ENOTSUP, "the logical unit does not tell which blocks have space");
  std::vector<block::Extent> extents;
  const std::uint64_t end = offset + length;
  UnitAccess unit = access();
  while (offset < end && extents.size() < most) {
    auto bytes = co_await unit.lba_status(offset / block_size(), std::min(most, kMostStatusDescriptors));
    if (!bytes) co_return std::unexpected(std::move(bytes.error()));
    const std::uint64_t before = offset;
    for (std::size_t i = 0; offset < end && extents.size() < most; ++i) {
      const auto entry = scsi::lba_status_entry(*bytes, i);
      if (!entry) break;
      // The first descriptor begins at the block asked for, each other where the one before it ends (SBC-4 §5.6.2).
      if (entry->lba.value != offset / block_size() || entry->count.value == 0) {
        co_return fail(EPROTO, "the target's list of block states has gaps");
      }
      const std::uint64_t part = std::min(entry->count.value * block_size(), end - offset);
      const bool allocated = entry->status != scsi::ProvisioningStatus::kDeallocated;
      if (!extents.empty() && extents.back().allocated == allocated) {
        extents.back().length += part;
      } else {
        extents.push_back({offset, part, allocated});
      }
      offset += part;
    }
    if (offset == before) co_return fail(EPROTO, "the target's list of block states is empty");
  }
  co_return extents;
}

}  // namespace peerlane::initiator
