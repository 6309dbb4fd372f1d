#include "block/read_ahead.h"

#include <algorithm>

namespace peerlane::block {
namespace {

/// Reads of one stream that are sent together may arrive in another order: what comes in this distance behind or before
/// the place where a stream goes on is taken for one of its own.
constexpr std::uint64_t kDisorder = 128u << 10;

}  // namespace

/// The stream that a read at `offset` belongs to, or the one whose place it takes.
ReadAhead::Stream& ReadAhead::stream_of(std::uint64_t offset, bool& goes_on) {
  const auto exact = std::ranges::find(streams_, offset, &Stream::next);
  goes_on = exact != streams_.end();
  if (goes_on) return *exact;
  const auto near = std::ranges::find_if(streams_, [offset](const Stream& stream) {
    return stream.reads >= kReads && offset + kDisorder >= stream.next && offset <= stream.next + kDisorder;
  });
  goes_on = near != streams_.end();
  if (goes_on) return *near;
  return *std::ranges::min_element(streams_, {}, &Stream::last_used);
}

ReadAhead::Advice ReadAhead::note(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  Advice advice;
  Stream& stream = stream_of(offset, advice.goes_on);
  const std::uint64_t end = offset + length;
  if (!advice.goes_on) stream = {.next = offset, .ahead_end = end};
  const std::uint64_t before = stream.next;
  stream.next = std::max(before, end);
  stream.run += stream.next - before;
  ++stream.reads;
  stream.last_used = ++clock_;
  if (stream.reads < kReads) return advice;

  const std::uint64_t window = std::min(stream.run / 2, most_) / kUnit * kUnit;
  const std::uint64_t begin = std::max(stream.ahead_end, stream.next) / kUnit * kUnit;
  const std::uint64_t wanted = std::min(stream.next + window, size) / kUnit * kUnit;
  if (wanted <= begin) return advice;
  // In large pieces: not before half of the window is used up. The end of the disk comes as it is.
  const bool at_end = wanted == size / kUnit * kUnit;
  if (!at_end && wanted - begin < std::max(window / 2, std::min(kLeast, most_))) return advice;
  stream.ahead_end = wanted;
  advice.ahead = Range{begin, wanted - begin};
  return advice;
}

}  // namespace peerlane::block
