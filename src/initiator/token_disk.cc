#include "initiator/token_disk.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/limits.h"
#include "initiator/pieces.h"
#include "initiator/scsi_error.h"
#include "scsi/opcodes.h"

namespace peerlane::initiator {
namespace {

Request request_of(const scsi::TokenReadCdb& cdb, ByteSpan into) {
  Request request;
  scsi::encode_token_read(cdb, request.cdb);
  request.data_in = into;
  request.repeatable = true;
  return request;
}

io::Task<Result<void>> ask(Lun& lun, const scsi::TokenReadCdb& cdb, ByteSpan into, const char* doing) {
  Request request = request_of(cdb, into);
  auto asking = lun.execute(std::move(request));
  auto result = co_await std::move(asking);
  if (!result) co_return std::unexpected(std::move(result.error()));
  if (!succeeded(*result)) co_return std::unexpected(to_error(*result, doing));
  if (result->transferred != into.size()) co_return fail(EIO, "the target sent fewer data than it was asked for");
  co_return Result<void>();
}

}  // namespace

io::Task<Result<std::shared_ptr<TokenDisk>>> TokenDisk::open(std::shared_ptr<Lun> lun,
                                                             const scsi::RodTokenBytes& token) {
  const auto told = scsi::decode_rod_token(token);
  if (!told || told->bytes % lun->geometry().logical_block_size != 0) co_return fail(ENOKEY, "no token of blocks");
  scsi::TokenReadCdb cdb;
  cdb.service_action = scsi::kReportRodToken;
  cdb.length = scsi::kRodTokenBytes;
  cdb.key = scsi::token_key(token);
  scsi::RodTokenBytes known{};
  auto asked = co_await ask(*lun, cdb, known, "REPORT ROD TOKEN");
  if (!asked) co_return std::unexpected(std::move(asked.error()));
  if (known != token) co_return fail(ENOKEY, "it has been changed");
  co_return std::shared_ptr<TokenDisk>(new TokenDisk(std::move(lun), cdb.key, told->bytes));
}

block::Geometry TokenDisk::geometry() const {
  block::Geometry geometry = lun_->geometry();
  geometry.size = size_;
  return geometry;
}

block::Capabilities TokenDisk::capabilities() const {
  block::Capabilities can;
  can.read_only = true;
  return can;
}

io::Task<Result<void>> TokenDisk::read(std::uint64_t offset, ByteSpan into) {
  io::Reactor& home = lun_->session().reactor();
  if (home.here()) {
    auto here = co_await read_here(offset, into);
    co_return here;
  }
  Result<void> done;
  std::function<io::Task<void>()> there = [this, offset, into, &done] { return read_there(offset, into, done); };
  auto running = io::run_on(io::Reactor::current(), home, std::move(there));
  co_await std::move(running);
  co_return done;
}

io::Task<void> TokenDisk::read_there(std::uint64_t offset, ByteSpan into, Result<void>& done) {
  auto read = co_await read_here(offset, into);
  done = std::move(read);
}

io::Task<Result<void>> TokenDisk::read_here(std::uint64_t offset, ByteSpan into) {
  const auto piece = [this, into, offset](std::uint64_t at, std::uint64_t length) {
    return read_piece(at, into.subspan(at - offset, length));
  };
  const PieceRange range{offset, offset + into.size(), limits::kInitiatorPieceBytes};
  auto done = co_await in_pieces(range, limits::kInitiatorPieces, piece);
  co_return done;
}

io::Task<Result<void>> TokenDisk::read_piece(std::uint64_t offset, ByteSpan into) {
  const std::uint32_t block = lun_->geometry().logical_block_size;
  scsi::TokenReadCdb cdb;
  cdb.service_action = scsi::kReadUsingToken;
  cdb.length = static_cast<std::uint16_t>(into.size() / block);
  cdb.offset = static_cast<std::uint32_t>(offset / block);
  cdb.key = key_;
  auto done = co_await ask(*lun_, cdb, into, "reading by a token");
  co_return done;
}

}  // namespace peerlane::initiator
