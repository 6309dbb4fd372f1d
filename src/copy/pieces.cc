#include "copy/pieces.h"

#include <algorithm>
#include <utility>

#include "copy/stream.h"

namespace peerlane::copy {
namespace {

/// Pieces end where any disk's blocks and any direct transfer's memory pages do.
constexpr std::uint64_t kUnit = 4096;

}  // namespace

Pieces::Pieces(const Plan& plan, PieceSizes sizes, std::uint64_t position)
    : plan_(plan), sizes_(sizes), position_(position), left_(plan.most()) {}

io::Task<Result<std::optional<Piece>>> Pieces::next() {
  while (true) {
    const StreamSource* const stream = plan_.source().stream;
    if (stream != nullptr && stream->end() <= position_) co_return std::optional<Piece>();
    if (plan_.backward()) {
      if (left_ == 0) co_return std::optional<Piece>();
      co_return std::optional<Piece>(cut_backward());
    }
    if (index_ < window_.size()) co_return std::optional<Piece>(cut());
    if (position_ >= plan_.most()) co_return std::optional<Piece>();
    if (fetching_) {
      co_await fetched_;
      continue;
    }
    const auto done = co_await fetch();
    if (!done) co_return std::unexpected(done.error());
  }
}

io::Task<Result<void>> Pieces::fetch() {
  fetching_ = true;
  auto extents = co_await plan_.window(position_);
  fetching_ = false;
  if (extents) {
    window_ = std::move(*extents);
    index_ = 0;
  }
  fetched_.wake_all();
  if (!extents) co_return std::unexpected(extents.error());
  co_return Result<void>();
}

Piece Pieces::cut() {
  const PlannedExtent& extent = window_[index_];
  const Route& route = plan_.routes()[extent.route];
  const std::uint64_t end = extent.position + extent.length;
  const std::uint64_t begin = std::max(position_, extent.position);
  const std::uint64_t most = route.way == Way::kHostMemory ? sizes_.request
                             : route.zero                  ? sizes_.zeroes
                                                           : sizes_.direct;
  position_ = route.way == Way::kSkip ? end : piece_end(begin, end, most);
  if (position_ == end) ++index_;
  return piece(begin, position_ - begin, route);
}

Piece Pieces::cut_backward() {
  const std::uint64_t end = left_;
  left_ = 0;
  if (end > sizes_.request) {
    const std::uint64_t offset = plan_.destination_offset() + end - sizes_.request;
    left_ = (offset + kUnit - 1) / kUnit * kUnit - plan_.destination_offset();
  }
  return piece(left_, end - left_, plan_.routes().front());
}

/// Where the piece ends that begins at `position`: at `end`, or at a block of the destination before it.
std::uint64_t Pieces::piece_end(std::uint64_t position, std::uint64_t end, std::uint64_t most) const {
  if (end - position <= most) return end;
  const std::uint64_t offset = plan_.destination_offset() + position + most;
  return offset - offset % kUnit - plan_.destination_offset();
}

Piece Pieces::piece(std::uint64_t position, std::uint64_t length, const Route& route) const {
  return {.source = plan_.source_offset() + position,
          .destination = plan_.destination_offset() + position,
          .length = length,
          .way = route.way,
          .zero = route.zero};
}

}  // namespace peerlane::copy
