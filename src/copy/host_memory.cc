#include "copy/host_memory.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "base/limits.h"
#include "copy/stream.h"
#include "copy/zero_bytes.h"
#include "io/reactor.h"

namespace peerlane::copy {
namespace {

std::uint64_t round_down(std::uint64_t value, std::uint64_t step) {
  return value - value % step;
}
std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
  return round_down(value + step - 1, step);
}

/// The cell at a place of the data: where zeroes are looked for.
ByteView cell(ByteView data, std::size_t at) {
  return data.subspan(at, std::min(limits::kCopyZeroCell, data.size() - at));
}

/// How many bytes from the front are of one kind: cells that are all zeroes, or cells that are not.
std::size_t run_length(ByteView data, bool& zero) {
  zero = all_zeroes(cell(data, 0));
  std::size_t end = cell(data, 0).size();
  while (end < data.size() && all_zeroes(cell(data, end)) == zero) end += cell(data, end).size();
  return end;
}

}  // namespace

HostMemory::HostMemory(const End& source, const End& destination, io::BufferShare& share, Mover* zeroes,
                       Account& account)
    : source_(source),
      destination_(destination),
      source_block_(source.block()),
      destination_block_(destination.block()),
      share_(share),
      zeroes_(zeroes),
      account_(account) {}

io::Task<Result<void>> HostMemory::move(Piece piece) {
  const std::uint64_t begin = round_down(piece.source, source_block_);
  const std::uint64_t end = round_up(piece.source + piece.length, source_block_);
  const io::Buffer buffer = co_await io::Reactor::current().buffers().allocate(share_, end - begin);
  auto loaded = co_await load(piece, buffer.bytes());
  if (!loaded) co_return loaded;
  const ByteView data = buffer.bytes().subspan(piece.source - begin, piece.length);
  if (zeroes_ == nullptr || piece.zero) {
    auto stored = co_await store(piece.destination, data);
    co_return stored;
  }
  auto stored = co_await store_parts(piece.destination, data);
  co_return stored;
}

/// Fills the buffer with the source's blocks that the piece lies in. A piece beyond the end of a stream gets shorter.
io::Task<Result<void>> HostMemory::load(Piece& piece, ByteSpan into) {
  if (piece.zero) {
    std::memset(into.data(), 0, into.size());
    co_return Result<void>();
  }
  auto read = co_await source_.device->read(round_down(piece.source, source_block_), into);
  if (!read) co_return std::unexpected(explain("reading", source_.name, piece.source, read.error()));
  if (source_.stream != nullptr) {
    const std::uint64_t end = source_.stream->end();
    piece.length = std::min(piece.length, end - std::min(end, piece.source));
  }
  co_return Result<void>();
}

/// Writes what is data, and leaves what is zeroes to the one who makes them in a shorter way.
io::Task<Result<void>> HostMemory::store_parts(std::uint64_t offset, ByteView data) {
  while (!data.empty()) {
    // Cells begin where blocks of the destination do.
    const std::size_t first = std::min<std::size_t>(round_up(offset, limits::kCopyZeroCell) - offset, data.size());
    bool zero = false;
    const std::size_t count = first != 0 ? first : run_length(data, zero);
    const bool whole = (offset + count) % destination_block_ == 0 || offset + count == destination_.size;
    Result<void> done = fail(ENOTSUP);
    if (zero && whole) {
      const Piece piece{.source = 0, .destination = offset, .length = count, .way = Way::kZeroes, .zero = true};
      done = co_await zeroes_->move(piece);
      if (!done && done.error().code != ENOTSUP) co_return done;
    }
    if (!done) done = co_await store(offset, data.first(count));
    if (!done) co_return done;
    offset += count;
    data = data.subspan(count);
  }
  co_return Result<void>();
}

io::Task<Result<void>> HostMemory::store(std::uint64_t offset, ByteView data) {
  if (data.empty()) co_return Result<void>();
  const bool aligned = offset % destination_block_ == 0 && data.size() % destination_block_ == 0 &&
                       reinterpret_cast<std::uintptr_t>(data.data()) % destination_.device->memory_alignment() == 0;
  Result<void> stored;
  if (aligned) {
    stored = co_await write(offset, data);
  } else {
    stored = co_await store_unaligned(offset, data);
  }
  if (stored) {
    account_.add(Way::kHostMemory, data.size());
    account_.memory_bytes += data.size();
  }
  co_return stored;
}

/// Moves the data to where it lies in whole blocks, with what the destination has around it.
io::Task<Result<void>> HostMemory::store_unaligned(std::uint64_t offset, ByteView data) {
  const std::uint64_t begin = round_down(offset, destination_block_);
  const std::uint64_t end = round_up(offset + data.size(), destination_block_);
  const io::Buffer buffer = co_await io::Reactor::current().buffers().allocate(share_, end - begin);
  const ByteSpan blocks = buffer.bytes();
  const ByteSpan first = blocks.first(destination_block_);  // aligned, as the place of the last block may not be
  Result<void> read;
  if (offset + data.size() != end) {
    read = co_await destination_.device->read(end - destination_block_, first);
    std::memmove(blocks.last(destination_block_).data(), first.data(), first.size());
  }
  if (read && offset != begin) read = co_await destination_.device->read(begin, first);
  if (!read) co_return std::unexpected(explain("reading", destination_.name, begin, read.error()));
  std::memcpy(blocks.data() + (offset - begin), data.data(), data.size());
  auto written = co_await write(begin, blocks);
  co_return written;
}

io::Task<Result<void>> HostMemory::write(std::uint64_t offset, ByteView data) {
  auto written = co_await destination_.device->write(offset, data, block::WriteFlags::kNone);
  if (!written) co_return std::unexpected(explain("writing", destination_.name, offset, written.error()));
  co_return Result<void>();
}

}  // namespace peerlane::copy
