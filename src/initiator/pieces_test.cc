#include "initiator/pieces.h"

#include <cerrno>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::initiator {
namespace {

TEST(EndOfPieceTest, PiecesEndAtBoundaries) {
  EXPECT_EQ(end_of_piece(0, 100, 100, 0, 0), 100u);
  EXPECT_EQ(end_of_piece(0, 101, 100, 0, 0), 100u);
  EXPECT_EQ(end_of_piece(10, 1000, 100, 64, 0), 64u);     // 110 is not one
  EXPECT_EQ(end_of_piece(64, 1000, 128, 64, 0), 192u);    // is one
  EXPECT_EQ(end_of_piece(10, 1000, 100, 64, 16), 80u);    // counted from 16
  EXPECT_EQ(end_of_piece(10, 1000, 30, 64, 0), 40u);      // none within reach: better than nothing
  EXPECT_EQ(end_of_piece(10, 1000, 30, 64, 500), 40u);    // before the first one
  EXPECT_EQ(end_of_piece(950, 1000, 100, 64, 0), 1000u);  // the rest
}

struct Seen {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> pieces;
  std::uint64_t fails_at = ~std::uint64_t{0};

  io::Task<Result<void>> one(std::uint64_t offset, std::uint64_t length) {
    pieces.emplace_back(offset, length);
    if (offset == fails_at) co_return fail(EIO);
    co_return Result<void>();
  }
};

io::Task<void> run(Seen& seen, PieceRange range, Result<void>& result) {
  const auto piece = [&seen](std::uint64_t offset, std::uint64_t length) { return seen.one(offset, length); };
  result = co_await in_pieces(range, 2, piece);
}

TEST(InPiecesTest, CoversTheRangeWithoutOverlap) {
  Seen seen;
  Result<void> result = fail(EINVAL);
  io::spawn(run(seen, {100, 1000, 250}, result));
  EXPECT_TRUE(result);
  std::uint64_t at = 100;
  for (const auto& [offset, length] : seen.pieces) {
    EXPECT_EQ(offset, at);
    EXPECT_LE(length, 250u);
    at += length;
  }
  EXPECT_EQ(at, 1000u);
}

TEST(InPiecesTest, BeginsNothingAfterAnError) {
  Seen seen;
  seen.fails_at = 350;
  Result<void> result;
  io::spawn(run(seen, {100, 1000, 250}, result));
  EXPECT_FALSE(result);
  EXPECT_EQ(seen.pieces.size(), 2u);
}

TEST(InPiecesTest, AnEmptyRangeIsDone) {
  Seen seen;
  Result<void> result = fail(EINVAL);
  io::spawn(run(seen, {100, 100, 250}, result));
  EXPECT_TRUE(result);
  EXPECT_TRUE(seen.pieces.empty());
}

}  // namespace
}  // namespace peerlane::initiator
