#include "initiator/lun.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "initiator/pieces.h"
#include "initiator/scsi_error.h"
#include "scsi/opcodes.h"
#include "scsi/sense_codes.h"

namespace peerlane::initiator {
namespace {

using scsi::OperationCode;

constexpr std::uint64_t kMost10Blocks = 0xffff;  // TRANSFER LENGTH of READ(10) and WRITE(10)

block::Capabilities capabilities_of(const UnitFacts& facts, bool read_only) {
  const bool zeroes = facts.provisioning.reads_zeroes || facts.capacity.reads_zeroes;
  const bool unmap_command = facts.provisioning.unmap && facts.limits.max_unmap_blocks != 0;
  const bool unmap_same = facts.provisioning.write_same_16 && facts.write_same;
  block::Capabilities can;
  can.read_only = read_only || facts.write_protected;
  can.unmap = !can.read_only && zeroes && facts.sixteen && (unmap_command || unmap_same);
  can.write_zeroes = !can.read_only && facts.sixteen && facts.write_same;
  can.allocation = facts.lba_status && zeroes;
  can.volatile_cache = facts.write_cache;
  can.fua = facts.dpo_fua;
  can.unmap_granularity = can.unmap ? facts.limits.unmap_granularity * facts.capacity.block_size : 0;
  return can;
}

std::size_t piece_bytes_of(const UnitFacts& facts, std::size_t wanted) {
  std::uint64_t bytes = wanted;
  if (facts.limits.max_transfer != 0) {
    bytes = std::min(bytes, std::uint64_t{facts.limits.max_transfer} * facts.capacity.block_size);
  }
  if (!facts.sixteen) bytes = std::min(bytes, kMost10Blocks * facts.capacity.block_size);
  return std::max<std::uint64_t>(bytes / facts.capacity.block_size, 1) * facts.capacity.block_size;
}

std::uint64_t bytes_of(const scsi::Capacity& capacity) {
  return capacity.blocks.value * capacity.block_size;
}

}  // namespace

// --- Opening and closing ---

io::Task<Result<std::unique_ptr<Lun>>> Lun::open(std::shared_ptr<Session> session, std::uint32_t lun,
                                                 LunOptions options) {
  if (lun > scsi::kMostLun) co_return fail(ENXIO, fmt::format("LUNs go from 0 to {}", scsi::kMostLun));
  const scsi::Lun number{static_cast<std::uint16_t>(lun)};
  const UnitAccess unit(*session, iscsi::LunField{scsi::encode_lun(number)}, nullptr, false);
  auto asking = options.known ? probe_again(unit, *options.known) : probe(unit, options.without_size);
  auto facts = co_await std::move(asking);
  if (!facts) {
    co_return fail(facts.error().code,
                   fmt::format("LUN {} of {}: {}", lun, session->options().login.target_name, facts.error().text()));
  }
  std::unique_ptr<Lun> opened(new Lun(std::move(session), number, std::move(*facts), std::move(options)));
  co_return opened;
}

Lun::Lun(std::shared_ptr<Session> session, scsi::Lun lun, UnitFacts facts, LunOptions options)
    : session_(std::move(session)),
      lun_(lun),
      field_{scsi::encode_lun(lun)},
      facts_(std::move(facts)),
      options_(std::move(options)),
      stable_(stable_identity(facts_)),
      capabilities_(capabilities_of(facts_, options_.read_only)),
      piece_bytes_(piece_bytes_of(facts_, options_.piece_bytes)),
      size_(bytes_of(facts_.capacity)),
      newest_(size_.load()) {
  session_->attach(*this);
}

Lun::~Lun() {
  assert(background_.inside() == 0);
}

io::Task<Result<void>> Lun::close_here() {
  // What refresh_size() has posted before comes before this.
  co_await io::yield(session_->reactor());
  session_->detach(*this);
  if (!session_->has_users()) co_await session_->close();
  co_await background_.drained();
  co_return Result<void>();
}

// --- Shape ---

block::Geometry Lun::geometry() const {
  block::Geometry geometry;
  geometry.size = size_.load(std::memory_order_relaxed);
  geometry.logical_block_size = block_size();
  geometry.physical_block_size = block_size() << facts_.capacity.physical_exponent;
  return geometry;
}

Result<bool> Lun::refresh_size() {
  session_->reactor().post([this] { measure_soon(); });
  const std::uint64_t newest = newest_.load(std::memory_order_relaxed);
  return size_.exchange(newest, std::memory_order_relaxed) != newest;
}

void Lun::measure_soon() {
  if (measuring_ || session_->state() != Session::State::kLoggedIn) return;
  measuring_ = true;
  io::spawn(measure_again());
}

io::Task<void> Lun::measure_again() {
  const io::Gate::Pass pass(background_);
  UnitFacts now;
  const UnitAccess unit = access();
  const auto measured = co_await measure(unit, now);
  measuring_ = false;
  if (!measured || now.capacity.block_size != block_size()) co_return;
  const std::uint64_t size = bytes_of(now.capacity);
  if (newest_.exchange(size, std::memory_order_relaxed) != size) {
    log::info("{}: LUN {} has {} bytes now", session_->name(), lun_.value, size);
  }
}

void Lun::unit_attention(const scsi::Sense& sense) {
  namespace codes = scsi::sense_codes;
  if (sense.code == codes::kCapacityChanged) {
    measure_soon();
  } else if (sense.code == codes::kReportedLunsChanged) {
    log::info("{}: the target's logical units have changed", session_->name());
  }
}

void Lun::scsi_event(iscsi::LunField lun, const scsi::Sense& sense) {
  if (lun == field_) unit_attention(sense);
}

// --- After a new login ---

io::Task<Result<void>> Lun::restore() {
  known_ = false;
  auto recognised = co_await recognise(true);
  co_return recognised;
}

/// Whether the unit is the one that was opened, by asking it.
io::Task<Result<void>> Lun::recognise(bool restoring) {
  const UnitAccess unit(*session_, field_, this, restoring);
  auto facts = co_await identify(unit);
  if (!facts) co_return std::unexpected(std::move(facts.error()));
  auto measured = co_await measure(unit, *facts);
  if (!measured) {
    // Through this port, or to us while it is reserved, it does not tell now.
    const bool untold = measured.error().code == EHOSTDOWN || measured.error().code == EBADE;
    if (!untold) co_return std::unexpected(std::move(measured.error()));
    facts->capacity = facts_.capacity;
  }
  known_ = true;
  const std::string identity = stable_identity(*facts);
  stale_ = identity != stable_ || facts->capacity.block_size != block_size();
  if (stale_) {
    co_return fail(ESTALE, fmt::format("LUN {} is another disk now ({}, it was {}): it is not used any more",
                                       lun_.value, identity, stable_));
  }
  newest_.store(bytes_of(facts->capacity), std::memory_order_relaxed);
  co_return Result<void>();
}

/// The unit could not be asked at the login, or it is another one.
io::Task<Result<void>> Lun::make_usable() {
  if (stale_) co_return fail(ESTALE, "another disk answers at this LUN now");
  auto recognised = co_await recognise(false);
  co_return recognised;
}

// --- Reading and writing ---

Request Lun::request_for(const scsi::BlockCdb& cdb) {
  Request request;
  request.lun = field_;
  request.repeatable = true;
  request.observer = this;
  request.guard = this;
  scsi::encode_block_cdb(cdb, request.cdb);
  return request;
}

/// Executes a command, and takes every status but a good one as an error.
io::Task<Result<std::size_t>> Lun::command(const Request& request, const char* doing) {
  auto result = co_await session_->execute(request);
  if (!result) co_return std::unexpected(std::move(result.error()));
  if (!succeeded(*result)) co_return std::unexpected(to_error(*result, doing));
  co_return result->transferred;
}

/// The same for one that moves blocks: it must have moved all of them.
io::Task<Result<void>> Lun::transfer(const Request& request, const char* doing) {
  const auto transferred = co_await command(request, doing);
  if (!transferred) co_return std::unexpected(transferred.error());
  if (*transferred != request.data_in.size() + request.data_out.size()) {
    co_return fail(EIO, fmt::format("{}: the target moved fewer data than it was asked to", doing));
  }
  co_return Result<void>();
}

io::Task<Result<void>> Lun::read_piece(std::uint64_t offset, ByteSpan into) {
  scsi::BlockCdb cdb;
  cdb.operation = facts_.sixteen ? OperationCode::kRead16 : OperationCode::kRead10;
  cdb.lba = {offset / block_size()};
  cdb.count = {into.size() / block_size()};
  Request request = request_for(cdb);
  request.data_in = into;
  auto done = co_await transfer(request, "reading");
  co_return done;
}

io::Task<Result<void>> Lun::write_piece(std::uint64_t offset, ByteView from, bool fua) {
  scsi::BlockCdb cdb;
  cdb.operation = facts_.sixteen ? OperationCode::kWrite16 : OperationCode::kWrite10;
  cdb.lba = {offset / block_size()};
  cdb.count = {from.size() / block_size()};
  cdb.fua = fua;
  Request request = request_for(cdb);
  request.data_out = from;
  auto done = co_await transfer(request, "writing");
  co_return done;
}

io::Task<Result<void>> Lun::read_here(std::uint64_t offset, ByteSpan into) {
  assert(offset % block_size() == 0 && into.size() % block_size() == 0);
  if (into.empty()) return io::ready(Result<void>());
  return into.size() <= piece_bytes_ ? read_piece(offset, into) : read_pieces(offset, into);
}

io::Task<Result<void>> Lun::read_pieces(std::uint64_t offset, ByteSpan into) {
  const auto piece = [this, into, offset](std::uint64_t at, std::uint64_t length) {
    return read_piece(at, into.subspan(at - offset, length));
  };
  const PieceRange range{offset, offset + into.size(), piece_bytes_};
  auto done = co_await in_pieces(range, options_.pieces, piece);
  co_return done;
}

io::Task<Result<void>> Lun::write_here(std::uint64_t offset, ByteView from, block::WriteFlags flags) {
  assert(offset % block_size() == 0 && from.size() % block_size() == 0);
  if (from.empty()) return io::ready(Result<void>());
  if (capabilities_.read_only) return io::ready(Result<void>(fail(EROFS, "the logical unit is read-only")));
  const bool durable = flags == block::WriteFlags::kFua;
  const bool fua = durable && facts_.dpo_fua;
  if (from.size() <= piece_bytes_ && durable == fua) return write_piece(offset, from, fua);
  return write_pieces(offset, from, fua, durable && !fua);
}

/// `flush`: after the data, as the unit has no FUA.
io::Task<Result<void>> Lun::write_pieces(std::uint64_t offset, ByteView from, bool fua, bool flush) {
  const auto piece = [this, from, offset, fua](std::uint64_t at, std::uint64_t length) {
    return write_piece(at, from.subspan(at - offset, length), fua);
  };
  const PieceRange range{offset, offset + from.size(), piece_bytes_};
  auto done = co_await in_pieces(range, options_.pieces, piece);
  if (done && flush) done = co_await flush_here();
  co_return done;
}

io::Task<Result<void>> Lun::flush_here() {
  if (no_flush_) co_return Result<void>();
  scsi::BlockCdb cdb;
  cdb.operation = facts_.sixteen ? OperationCode::kSynchronizeCache16 : OperationCode::kSynchronizeCache10;
  const Request request = request_for(cdb);
  auto done = co_await transfer(request, "bringing data to stable storage");
  if (!done && done.error().code == ENOTSUP && !facts_.write_cache) {
    no_flush_ = true;  // a unit without a write cache need not have the command
    co_return Result<void>();
  }
  co_return done;
}

// --- From other reactors ---

template <typename T>
io::Task<T> Lun::elsewhere(std::function<io::Task<T>()> make) {
  std::optional<T> result;
  struct Keep {
    static io::Task<void> result_of(const std::function<io::Task<T>()>& task, std::optional<T>& kept) {
      auto value = co_await task();
      kept.emplace(std::move(value));
    }
  };
  std::function<io::Task<void>()> there = [&make, &result] { return Keep::result_of(make, result); };
  auto running = io::run_on(io::Reactor::current(), session_->reactor(), std::move(there));
  co_await std::move(running);
  co_return std::move(*result);
}

io::Task<Result<void>> Lun::read(std::uint64_t offset, ByteSpan into) {
  if (at_home()) return read_here(offset, into);
  return elsewhere<Result<void>>([this, offset, into] { return read_here(offset, into); });
}

io::Task<Result<void>> Lun::write(std::uint64_t offset, ByteView from, block::WriteFlags flags) {
  if (at_home()) return write_here(offset, from, flags);
  return elsewhere<Result<void>>([this, offset, from, flags] { return write_here(offset, from, flags); });
}

io::Task<Result<void>> Lun::flush() {
  if (at_home()) return flush_here();
  return elsewhere<Result<void>>([this] { return flush_here(); });
}

io::Task<Result<void>> Lun::unmap(std::uint64_t offset, std::uint64_t length) {
  if (at_home()) return unmap_here(offset, length);
  return elsewhere<Result<void>>([this, offset, length] { return unmap_here(offset, length); });
}

io::Task<Result<void>> Lun::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  if (at_home()) return write_zeroes_here(offset, length, may_unmap);
  return elsewhere<Result<void>>(
      [this, offset, length, may_unmap] { return write_zeroes_here(offset, length, may_unmap); });
}

io::Task<Result<std::vector<block::Extent>>> Lun::allocation(std::uint64_t offset, std::uint64_t length,
                                                             std::size_t most) {
  if (at_home()) return allocation_here(offset, length, most);
  return elsewhere<Result<std::vector<block::Extent>>>(
      [this, offset, length, most] { return allocation_here(offset, length, most); });
}

io::Task<Result<void>> Lun::close() {
  if (at_home()) return close_here();
  return elsewhere<Result<void>>([this] { return close_here(); });
}

io::Task<Result<bool>> Lun::compare_and_write(std::uint64_t offset, ByteView compare, ByteView write) {
  if (at_home()) return compare_and_write_here(offset, compare, write);
  return elsewhere<Result<bool>>(
      [this, offset, compare, write] { return compare_and_write_here(offset, compare, write); });
}

io::Task<Result<bool>> Lun::verify(std::uint64_t offset, ByteView data) {
  if (at_home()) return verify_here(offset, data.size(), data);
  return elsewhere<Result<bool>>([this, offset, data] { return verify_here(offset, data.size(), data); });
}

io::Task<Result<bool>> Lun::verify(std::uint64_t offset, std::uint64_t length) {
  if (at_home()) return verify_here(offset, length, {});
  return elsewhere<Result<bool>>([this, offset, length] { return verify_here(offset, length, {}); });
}

io::Task<Result<Bytes>> Lun::reserve_in(scsi::ReserveInAction action) {
  if (at_home()) return reserve_in_here(action);
  return elsewhere<Result<Bytes>>([this, action] { return reserve_in_here(action); });
}

io::Task<Result<void>> Lun::reserve_out(scsi::ReserveOutAction action, std::optional<scsi::ReservationType> type,
                                        Bytes parameters) {
  if (at_home()) return reserve_out_here(action, type, std::move(parameters));
  return elsewhere<Result<void>>(
      [this, action, type, list = std::move(parameters)] { return reserve_out_here(action, type, list); });
}

io::Task<Result<Bytes>> Lun::vpd(scsi::VpdPage page) {
  if (at_home()) return vpd_here(page);
  return elsewhere<Result<Bytes>>([this, page] { return vpd_here(page); });
}

io::Task<Result<Bytes>> Lun::mode_sense(scsi::ModePageCode page, scsi::PageControl control) {
  if (at_home()) return mode_sense_here(page, control);
  return elsewhere<Result<Bytes>>([this, page, control] { return mode_sense_here(page, control); });
}

}  // namespace peerlane::initiator
