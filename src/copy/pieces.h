// The pieces of a plan, one after the other, as movers can take them at once.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "copy/plan.h"
#include "io/event.h"

namespace peerlane::copy {

/// How large a piece may be. Bytes.
struct PieceSizes {
  std::uint64_t request = 0;  // that goes through memory: a multiple of 4096
  std::uint64_t zeroes = 0;   // of which no data are moved
  std::uint64_t direct = 0;   // that takes a direct way
};

/// Used by many coroutines of one reactor.
class Pieces {
 public:
  /// From `position` on, which is 0 or what resume_at() was when an earlier copy ended. The plan outlives this.
  Pieces(const Plan& plan, PieceSizes sizes, std::uint64_t position);

  /// The next piece; nothing when there are no more. A piece that is not the last ends at a block of the destination.
  io::Task<Result<std::optional<Piece>>> next();

  /// Where the next piece will begin, as a position in the copy; not for a plan that runs backward.
  std::uint64_t position() const { return position_; }

 private:
  io::Task<Result<void>> fetch();
  Piece cut();
  Piece cut_backward();
  std::uint64_t piece_end(std::uint64_t position, std::uint64_t end, std::uint64_t most) const;
  Piece piece(std::uint64_t position, std::uint64_t length, const Route& route) const;

  const Plan& plan_;
  const PieceSizes sizes_;
  std::uint64_t position_;
  std::uint64_t left_ = 0;             // backward: what lies before this is still to be moved
  std::vector<PlannedExtent> window_;  // extents from index_ on are to be cut
  std::size_t index_ = 0;
  bool fetching_ = false;
  io::Event fetched_;
};

}  // namespace peerlane::copy
