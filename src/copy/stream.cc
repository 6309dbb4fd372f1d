#include "copy/stream.h"

#include <algorithm>
#include <cstring>

#include <poll.h>

namespace peerlane::copy {
namespace {

constexpr std::uint64_t kEndless = std::uint64_t{1} << 62;
constexpr std::uint64_t kHere = UINT64_MAX;  // where the descriptor is: io_uring's offset -1

}  // namespace

block::Geometry Stream::geometry() const {
  return {.size = kEndless, .logical_block_size = 512, .physical_block_size = 512};
}

io::Task<Result<void>> Stream::read(std::uint64_t, ByteSpan) {
  co_return fail(ENOTSUP);
}
io::Task<Result<void>> Stream::write(std::uint64_t, ByteView, block::WriteFlags) {
  co_return fail(EROFS);
}
io::Task<Result<void>> Stream::unmap(std::uint64_t, std::uint64_t) {
  co_return fail(ENOTSUP);
}
io::Task<Result<void>> Stream::write_zeroes(std::uint64_t, std::uint64_t, bool) {
  co_return fail(ENOTSUP);
}
io::Task<Result<std::vector<block::Extent>>> Stream::allocation(std::uint64_t, std::uint64_t, std::size_t) {
  co_return fail(ENOTSUP);
}

/// Of a redirection into a file; pipes and terminals have nothing to flush, and say so.
io::Task<Result<void>> Stream::flush() {
  const int done = co_await io::Reactor::current().fdatasync(fd_);
  if (done < 0 && done != -EINVAL && done != -EROFS) co_return fail(-done);
  co_return Result<void>();
}

void Stream::interrupt() {
  interrupted_ = true;
  if (pending_ != nullptr) reactor_->cancel(*pending_);
  moved_.wake_all();
}

io::Task<bool> Stream::turn(std::uint64_t offset) {
  while (!interrupted_ && position_ != offset) co_await moved_;
  co_return !interrupted_;
}

void Stream::pass(std::uint64_t count) {
  position_ += count;
  moved_.wake_all();
}

io::Task<int> Stream::run(io::Reactor::Call& call) {
  pending_ = &call;
  reactor_ = &io::Reactor::current();
  const int result = co_await call;
  pending_ = nullptr;
  co_return interrupted_ ? -ECANCELED : result;
}

io::Task<void> Stream::ready(unsigned events) {
  io::Reactor::Call call = io::Reactor::current().poll(fd_, events);
  co_await run(call);
}

io::Task<Result<void>> StreamSource::read(std::uint64_t offset, ByteSpan into) {
  const bool mine = co_await turn(offset);
  if (!mine) co_return fail(ECANCELED);
  const std::size_t count = into.size();
  while (!into.empty() && end_ == UINT64_MAX) {
    io::Reactor::Call call = io::Reactor::current().read(fd(), into, kHere);
    const int got = co_await run(call);
    if (got == -EINTR) continue;
    if (got == -EAGAIN) {
      co_await ready(POLLIN);
      continue;
    }
    if (got < 0) co_return fail(-got);
    if (got == 0) end_ = offset + count - into.size();
    into = into.subspan(static_cast<std::size_t>(got));
  }
  std::memset(into.data(), 0, into.size());
  pass(count);
  co_return Result<void>();
}

io::Task<Result<void>> StreamSink::read(std::uint64_t, ByteSpan into) {
  std::memset(into.data(), 0, into.size());
  co_return Result<void>();
}

io::Task<Result<void>> StreamSink::write(std::uint64_t offset, ByteView from, block::WriteFlags) {
  const bool mine = co_await turn(offset);
  if (!mine) co_return fail(ECANCELED);
  const std::size_t count = from.size();
  from = from.first(std::min<std::uint64_t>(count, size_ - std::min(size_, offset)));
  while (!from.empty()) {
    io::Reactor::Call call = io::Reactor::current().write(fd(), from, kHere, 0);
    const int put = co_await run(call);
    if (put == -EINTR) continue;
    if (put == -EAGAIN) {
      co_await ready(POLLOUT);
      continue;
    }
    if (put <= 0) co_return fail(put == 0 ? EIO : -put);
    from = from.subspan(static_cast<std::size_t>(put));
  }
  pass(count);
  co_return Result<void>();
}

}  // namespace peerlane::copy
