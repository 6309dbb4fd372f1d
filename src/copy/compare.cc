#include "copy/compare.h"

#include <algorithm>
#include <cstring>

#include "base/limits.h"
#include "io/reactor.h"

namespace peerlane::copy {
namespace {

/// The whole blocks around a range of one end.
struct Blocks {
  std::uint64_t begin;
  std::uint64_t end;
  std::uint64_t size() const { return end - begin; }
};

Blocks around(const End& end, std::uint64_t offset, std::uint64_t length) {
  const std::uint64_t block = end.block();
  return {offset - offset % block, (offset + length + block - 1) / block * block};
}

/// Both ends' blocks around this have room in a buffer.
constexpr std::uint64_t kStep = limits::kMaxBufferBytes - 8192;

}  // namespace

Compare::Compare(const End& source, const End& destination, io::BufferShare& share)
    : source_(source), destination_(destination), share_(share) {}

io::Task<Result<void>> Compare::move(Piece piece) {
  if (!piece.zero || !destination_.device->capabilities().allocation) {
    auto same = co_await compare_data(piece);
    co_return same;
  }
  std::uint64_t at = piece.destination;
  const std::uint64_t end = piece.destination + piece.length;
  while (at < end) {
    const Blocks blocks = around(destination_, at, end - at);
    const auto map = co_await destination_.device->allocation(blocks.begin, blocks.size(), limits::kPlanExtents);
    if (!map) co_return std::unexpected(explain("reading the map of", destination_.name, at, map.error()));
    if (map->empty()) co_return fail(EIO, destination_.name + " has an empty map");
    for (const block::Extent& extent : *map) {
      const std::uint64_t extent_end = std::min(end, extent.offset + extent.length);
      if (extent.allocated && at < extent_end) {
        auto same = co_await compare_zeroes(at, extent_end - at);
        if (!same) co_return same;
      }
      at = std::max(at, extent_end);
    }
  }
  co_return Result<void>();
}

io::Task<Result<void>> Compare::compare_zeroes(std::uint64_t offset, std::uint64_t length) {
  const Piece piece{.source = offset, .destination = offset, .length = length, .way = Way::kZeroes, .zero = true};
  auto same = co_await compare_data(piece);
  co_return same;
}

io::Task<Result<void>> Compare::compare_data(Piece piece) {
  io::BufferPool& pool = io::Reactor::current().buffers();
  while (piece.length > 0) {
    const std::uint64_t count = std::min(piece.length, kStep);
    const Blocks from = around(source_, piece.source, count);
    const Blocks to = around(destination_, piece.destination, count);
    const std::uint64_t expected_bytes = piece.zero ? count : from.size();
    const io::Buffer expected = co_await pool.allocate(share_, expected_bytes);
    const io::Buffer found = co_await pool.allocate(share_, to.size());
    Result<void> read;
    if (piece.zero) {
      std::memset(expected.bytes().data(), 0, expected.size());
    } else {
      read = co_await source_.device->read(from.begin, expected.bytes());
      if (!read) co_return std::unexpected(explain("reading", source_.name, piece.source, read.error()));
    }
    read = co_await destination_.device->read(to.begin, found.bytes());
    if (!read) co_return std::unexpected(explain("reading back", destination_.name, piece.destination, read.error()));

    const ByteView left = expected.bytes().subspan(piece.zero ? 0 : piece.source - from.begin, count);
    const ByteView right = found.bytes().subspan(piece.destination - to.begin, count);
    if (std::memcmp(left.data(), right.data(), count) != 0) {
      const auto place = std::ranges::mismatch(left, right).in1 - left.begin();
      first_difference_ = std::min(first_difference_, piece.destination + static_cast<std::uint64_t>(place));
      co_return fail(EILSEQ);
    }
    piece.source += count;
    piece.destination += count;
    piece.length -= count;
  }
  co_return Result<void>();
}

}  // namespace peerlane::copy
