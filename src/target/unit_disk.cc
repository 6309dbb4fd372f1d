#include "target/unit_disk.h"

#include <cerrno>
#include <chrono>
#include <utility>

#include "io/reactor.h"

namespace peerlane::target {
namespace {

constexpr auto kLookAgain = std::chrono::microseconds(100);

}  // namespace

block::Geometry UnitDisk::geometry() const {
  block::Geometry geometry = unit().device().geometry();
  geometry.size = unit().capacity().value * unit().block_size();
  geometry.logical_block_size = unit().block_size();
  return geometry;
}

block::Capabilities UnitDisk::capabilities() const {
  block::Capabilities can = unit().capabilities();
  can.read_only = use_ == Use::kRead;
  return can;
}

/// Waits until the range may be accessed, and looks whether the nexus may still do so.
io::Task<Result<void>> UnitDisk::enter(RangeLock::Pass& pass, std::optional<io::Duration> patience) {
  const io::TimePoint began = io::Reactor::current().now();
  while (!pass.granted()) {
    if (ending_) co_return fail(ECANCELED);
    if (patience && io::Reactor::current().now() - began > *patience) {
      co_return fail(ENOTSUP, "other commands hold these blocks");
    }
    // Who sanitizes waits for all that is under way, and with it for the other end of this copy.
    if (unit().condition().sanitizing()) co_return fail(EIO, "the unit is being sanitized");
    co_await io::sleep(io::Reactor::current(), kLookAgain);
  }
  // A disk that answers at once would leave nobody else his turn.
  co_await io::yield(io::Reactor::current());
  const ReservationClass needed = use_ == Use::kRead ? ReservationClass::kRead : ReservationClass::kWrite;
  if ((nexus_.conflicts() & conflict(needed)) != 0) co_return fail(EACCES, "another initiator has reserved the unit");
  if (unit().condition().sanitizing()) co_return fail(EIO, "the unit is being sanitized");
  co_return Result<void>();
}

io::Task<Result<void>> UnitDisk::read(std::uint64_t offset, ByteSpan into) {
  RangeLock::Pass pass(unit().ranges(), RangeLock::Mode::kShared, offset, into.size());
  auto entered = co_await enter(pass);
  if (!entered) co_return entered;
  auto read = co_await unit().device().read(offset, into);
  co_return read;
}

io::Task<Result<void>> UnitDisk::write(std::uint64_t offset, ByteView from, block::WriteFlags flags) {
  RangeLock::Pass pass(unit().ranges(), RangeLock::Mode::kShared, offset, from.size());
  auto entered = co_await enter(pass);
  if (!entered) co_return entered;
  auto written = co_await unit().device().write(offset, from, flags);
  co_return written;
}

io::Task<Result<void>> UnitDisk::unmap(std::uint64_t offset, std::uint64_t length) {
  RangeLock::Pass pass(unit().ranges(), RangeLock::Mode::kShared, offset, length);
  auto entered = co_await enter(pass);
  if (!entered) co_return entered;
  auto unmapped = co_await unit().device().unmap(offset, length);
  co_return unmapped;
}

io::Task<Result<void>> UnitDisk::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  RangeLock::Pass pass(unit().ranges(), RangeLock::Mode::kShared, offset, length);
  auto entered = co_await enter(pass);
  if (!entered) co_return entered;
  auto zeroed = co_await unit().device().write_zeroes(offset, length, may_unmap);
  co_return zeroed;
}

io::Task<Result<std::vector<block::Extent>>> UnitDisk::allocation(std::uint64_t offset, std::uint64_t length,
                                                                  std::size_t most) {
  return unit().device().allocation(offset, length, most);
}

io::Task<Result<void>> UnitDisk::around(std::uint64_t offset, std::uint64_t length, io::Task<Result<void>> work) {
  RangeLock::Pass pass(unit().ranges(), RangeLock::Mode::kShared, offset, length);
  auto entered = co_await enter(pass, limits::kCopyPassWait);
  if (!entered) co_return entered;
  if (use_ != Use::kRead) unit().changes().note(offset, length);
  auto done = co_await unit().device().around(offset, length, std::move(work));
  co_return done;
}

}  // namespace peerlane::target
