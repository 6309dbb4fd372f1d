// A long range as several commands, a bounded number of them in flight.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/error.h"
#include "io/event.h"
#include "io/task.h"

namespace peerlane::initiator {

/// Where a piece that begins at `offset` ends, if it is to be at most `piece` long and to end at a multiple of
/// `boundary` (0: anywhere), counted from `phase`, unless that would leave nothing of it.
constexpr std::uint64_t end_of_piece(std::uint64_t offset, std::uint64_t end, std::uint64_t piece,
                                     std::uint64_t boundary, std::uint64_t phase) {
  if (end - offset <= piece) return end;
  const std::uint64_t whole = offset + piece;
  if (boundary == 0 || whole < phase) return whole;
  const std::uint64_t aligned = whole - (whole - phase) % boundary;
  return aligned > offset ? aligned : whole;
}

struct PieceRange {
  std::uint64_t offset = 0;
  std::uint64_t end = 0;
  std::uint64_t piece = 0;     // the longest
  std::uint64_t boundary = 0;  // pieces end at multiples of it; 0: anywhere
  std::uint64_t phase = 0;     // counted from here
};

/// What the workers of one range share.
struct PieceWork {
  PieceRange range;
  std::optional<Error> failed;  // the first; nothing new is begun after it
  io::Gate workers;
};

template <typename DoPiece>
io::Task<void> work_on_pieces(PieceWork& work, const DoPiece& do_piece) {
  const io::Gate::Pass pass(work.workers);
  while (work.range.offset < work.range.end && !work.failed) {
    const std::uint64_t from = work.range.offset;
    const std::uint64_t to =
        end_of_piece(from, work.range.end, work.range.piece, work.range.boundary, work.range.phase);
    work.range.offset = to;
    auto done = co_await do_piece(from, to - from);
    if (!done && !work.failed) work.failed = std::move(done.error());
  }
}

/// Has `do_piece(offset, length)`, a Task<Result<void>>, done for all pieces of `range`, at most `most` at the same
/// time; waits for all that were begun. `do_piece` stays in place until then. The first error is the result.
template <typename DoPiece>
io::Task<Result<void>> in_pieces(PieceRange range, unsigned most, const DoPiece& do_piece) {
  PieceWork work{range, std::nullopt, {}};
  for (unsigned i = 0; i < most && work.range.offset < work.range.end; ++i) {
    io::spawn(work_on_pieces(work, do_piece));
  }
  co_await work.workers.drained();
  if (work.failed) co_return std::unexpected(std::move(*work.failed));
  co_return Result<void>();
}

}  // namespace peerlane::initiator
