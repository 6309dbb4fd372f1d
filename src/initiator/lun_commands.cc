// What a logical unit can do that is no part of block::Device.
#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "initiator/lun.h"
#include "initiator/pieces.h"
#include "initiator/scsi_error.h"
#include "scsi/opcodes.h"

namespace peerlane::initiator {
namespace {

using scsi::OperationCode;

/// MISCOMPARE is an answer, and no error.
Result<bool> unless_different(Result<void> done) {
  if (done) return true;
  if (done.error().code == EILSEQ) return false;
  return std::unexpected(std::move(done.error()));
}

}  // namespace

io::Task<Result<bool>> Lun::compare_and_write_here(std::uint64_t offset, ByteView compare, ByteView write) {
  assert(compare.size() == write.size() && compare.size() % block_size() == 0);
  const std::uint64_t blocks = compare.size() / block_size();
  if (blocks == 0 || blocks > facts_.limits.max_compare_and_write) {
    co_return fail(ENOTSUP, fmt::format("the logical unit compares and writes {} blocks at a time at most",
                                        facts_.limits.max_compare_and_write));
  }
  Bytes both(compare.begin(), compare.end());
  both.insert(both.end(), write.begin(), write.end());
  scsi::BlockCdb cdb;
  cdb.operation = OperationCode::kCompareAndWrite;
  cdb.lba = {offset / block_size()};
  cdb.count = {blocks};
  Request request = request_for(cdb);
  request.data_out = both;
  request.repeatable = false;  // a second one would find what the first one wrote
  auto done = co_await transfer(request, "comparing and writing");
  co_return unless_different(std::move(done));
}

io::Task<Result<void>> Lun::verify_piece(std::uint64_t offset, std::uint64_t length, ByteView data) {
  scsi::BlockCdb cdb;
  cdb.operation = facts_.sixteen ? OperationCode::kVerify16 : OperationCode::kVerify10;
  cdb.lba = {offset / block_size()};
  cdb.count = {length / block_size()};
  cdb.byte_check = data.empty() ? 0 : 1;
  Request request = request_for(cdb);
  request.data_out = data;
  auto done = co_await transfer(request, "verifying");
  co_return done;
}

io::Task<Result<bool>> Lun::verify_here(std::uint64_t offset, std::uint64_t length, ByteView data) {
  const auto piece = [this, offset, data](std::uint64_t at, std::uint64_t part) {
    return verify_piece(at, part, data.empty() ? data : data.subspan(at - offset, part));
  };
  const PieceRange range{offset, offset + length, piece_bytes_};
  auto done = co_await in_pieces(range, options_.pieces, piece);
  co_return unless_different(std::move(done));
}

io::Task<Result<Bytes>> Lun::reserve_in_here(scsi::ReserveInAction action) {
  UnitAccess unit = access();
  auto bytes = co_await unit.reserve_in(action);
  co_return bytes;
}

io::Task<Result<Bytes>> Lun::vpd_here(scsi::VpdPage page) {
  UnitAccess unit = access();
  auto bytes = co_await unit.vpd(page);
  co_return bytes;
}

io::Task<Result<Bytes>> Lun::mode_sense_here(scsi::ModePageCode page, scsi::PageControl control) {
  UnitAccess unit = access();
  auto bytes = co_await unit.mode_sense10(page, control);
  co_return bytes;
}

io::Task<Result<void>> Lun::reserve_out_here(scsi::ReserveOutAction action, std::optional<scsi::ReservationType> type,
                                             Bytes parameters) {
  Request request;
  request.lun = field_;
  request.cdb[0] = static_cast<std::uint8_t>(OperationCode::kPersistentReserveOut);
  request.cdb[1] = static_cast<std::uint8_t>(action);
  request.cdb[2] = static_cast<std::uint8_t>(type ? *type : scsi::ReservationType{});
  put_be32(request.cdb, 5, static_cast<std::uint32_t>(parameters.size()));
  request.data_out = parameters;
  request.observer = this;
  request.guard = this;
  const auto done = co_await command(request, "PERSISTENT RESERVE OUT");
  if (!done) co_return std::unexpected(done.error());
  co_return Result<void>();
}

io::Task<Result<ScsiResult>> Lun::execute(Request request) {
  assert(at_home());
  request.lun = field_;
  request.guard = this;
  auto result = co_await session_->execute(request);
  co_return result;
}

io::Task<Result<void>> Lun::reset() {
  assert(at_home());
  auto done = co_await session_->manage(iscsi::TaskFunction::kLogicalUnitReset, field_, *this);
  co_return done;
}

}  // namespace peerlane::initiator
