#include "io/socket_stream.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/listener.h"

namespace peerlane::io {
namespace {

// Shorter rests of a data segment are copied out of receive buffers; longer ones are received in place.
constexpr std::size_t kDirectBytes = 8u << 10;
// While long data comes, a receive for the next header takes only so much of what follows it.
constexpr std::size_t kBulkHeaderBytes = 1u << 10;

void set_option(int fd, int level, int option, int value) {
  setsockopt(fd, level, option, &value, sizeof value);
}

void set_options(int fd) {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(limits::kSendTimeout);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(timeout.count()));
}

}  // namespace

SocketStream::SocketStream(Reactor& reactor, int fd)
    : reactor_(reactor), fd_(fd), peer_address_(io::peer_address(fd)), local_address_(io::local_address(fd)) {
  receiving_.stream = this;
  set_options(fd);
  reactor_.adopt_file(fd);
}

SocketStream::~SocketStream() {
  assert(fd_ < 0 && !armed_);
}

// --- What has arrived ---

void SocketStream::release(Chunk& chunk) {
  if (chunk.id != kNoBuffer) reactor_.receive_buffers().put_back(chunk.id);
  chunk = {};
}

void SocketStream::add_chunk(Chunk chunk) {
  if (head_.bytes.empty()) {
    head_ = chunk;
    return;
  }
  assert(chunk_count_ < chunks_.size());
  chunks_[(first_chunk_ + chunk_count_) % chunks_.size()] = chunk;
  ++chunk_count_;
}

/// The head is used up: the next chunk takes its place.
void SocketStream::next_chunk() {
  release(head_);
  if (chunk_count_ == 0) return;
  head_ = std::exchange(chunks_[first_chunk_], {});
  first_chunk_ = (first_chunk_ + 1) % static_cast<unsigned>(chunks_.size());
  --chunk_count_;
}

void SocketStream::consume(std::size_t count) {
  assert(count <= head_.bytes.size());
  head_.bytes = head_.bytes.subspan(count);
  if (head_.bytes.empty()) next_chunk();
}

/// Moves the head into the assembly and adds to it from the chunks, up to `least` bytes.
void SocketStream::assemble(std::size_t least) {
  if (!assembly_) assembly_ = std::make_unique<std::array<std::uint8_t, kAssemblyBytes>>();
  std::uint8_t* const joined = assembly_->data();
  std::size_t have = head_.bytes.size();
  if (have != 0) std::memmove(joined, head_.bytes.data(), have);
  release(head_);
  while (have < least && chunk_count_ != 0) {
    Chunk& chunk = chunks_[first_chunk_];
    const std::size_t part = std::min(least - have, chunk.bytes.size());
    std::memcpy(joined + have, chunk.bytes.data(), part);
    have += part;
    chunk.bytes = chunk.bytes.subspan(part);
    if (!chunk.bytes.empty()) break;
    release(chunk);
    first_chunk_ = (first_chunk_ + 1) % static_cast<unsigned>(chunks_.size());
    --chunk_count_;
  }
  head_.bytes = {joined, have};
}

std::size_t SocketStream::take_buffered(ByteSpan into) {
  std::size_t taken = 0;
  while (taken < into.size() && !head_.bytes.empty()) {
    const std::size_t part = std::min(into.size() - taken, head_.bytes.size());
    std::memcpy(into.data() + taken, head_.bytes.data(), part);
    taken += part;
    consume(part);
  }
  return taken;
}

// --- Receiving ---

void SocketStream::note_end(int result) {
  if (result == 0) {
    error_ = ENODATA;
  } else if (result == -ENOBUFS) {
    ring_exhausted_ = true;
  } else if (result < 0 && result != -ECANCELED && result != -EINTR) {
    error_ = -result;
  }
}

void SocketStream::arm() {
  armed_ = true;
  canceling_ = false;
  reactor_.submit(receiving_, fd_, [this](io_uring_sqe* sqe) {
    if (reactor_.features().multishot && !bulk()) {
      io_uring_prep_recv_multishot(sqe, fd_, nullptr, 0, 0);
    } else {
      io_uring_prep_recv(sqe, fd_, nullptr, bulk() && small_receives_ == 0 ? kBulkHeaderBytes : 0, 0);
    }
    sqe->flags = static_cast<std::uint8_t>(sqe->flags | IOSQE_BUFFER_SELECT);
    sqe->buf_group = ReceiveBuffers::kGroup;
  });
}

void SocketStream::Receiving::complete(int result, unsigned flags) {
  SocketStream& s = *stream;
  if ((flags & IORING_CQE_F_MORE) == 0) s.armed_ = false;
  if ((flags & IORING_CQE_F_BUFFER) != 0) {
    const auto id = static_cast<std::uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
    if (result > 0) {
      s.add_chunk({s.reactor_.receive_buffers().at(id).first(static_cast<std::size_t>(result)), id});
    } else {
      s.reactor_.receive_buffers().put_back(id);
    }
  }
  if (result <= 0) s.note_end(result);
  if (s.armed_ && !s.canceling_ && s.chunk_count_ >= limits::kStreamReceiveBacklog) {
    s.canceling_ = true;
    s.reactor_.cancel(s.receiving_);
  }
  s.arrived_.wake_all();
}

/// Waits until something more is buffered, or nothing will come any more (error_).
Task<void> SocketStream::receive_more() {
  const unsigned chunks_before = chunk_count_;
  const bool empty_before = head_.bytes.empty();
  const auto nothing_new = [&] {
    return chunk_count_ == chunks_before && head_.bytes.empty() == empty_before && error_ == 0;
  };
  if (!reactor_.features().receive_ring || std::exchange(ring_exhausted_, false)) {
    if (!armed_) {
      co_await receive_private();
      co_return;
    }
  }
  if (!armed_) arm();
  while (armed_ && nothing_new()) co_await arrived_;
  if (!nothing_new()) ++small_receives_;
}

/// One receive into the stream's own buffer, which is free: what it held was consumed or moved to the assembly.
Task<void> SocketStream::receive_private() {
  if (private_.empty()) private_.resize(limits::kReceiveBufferBytes);
  const int got = co_await reactor_.receive(fd_, private_, 0);
  if (got > 0) {
    add_chunk({ByteView(private_).first(static_cast<std::size_t>(got)), kNoBuffer});
    ++small_receives_;
  } else {
    note_end(got);
  }
}

/// Ends the request that is with the kernel, so that the next bytes can be received elsewhere.
Task<void> SocketStream::disarm() {
  if (armed_ && !canceling_) {
    canceling_ = true;
    reactor_.cancel(receiving_);
  }
  while (armed_) co_await arrived_;
}

Task<Result<void>> SocketStream::wait_for(std::size_t least) {
  assert(least <= kAssemblyBytes);
  while (head_.bytes.size() < least) {
    // A head that is too short moves to the assembly before more is received: its own buffer may be the next one's.
    if (!head_.bytes.empty()) assemble(least);
    if (head_.bytes.size() >= least) break;
    if (error_ != 0) co_return fail(error_);
    co_await receive_more();
  }
  co_return Result<void>();
}

Task<Result<void>> SocketStream::receive(ByteSpan into) {
  std::size_t filled = take_buffered(into);
  while (filled < into.size()) {
    if (error_ != 0) co_return fail(error_);
    if (into.size() - filled < kDirectBytes) {
      co_await receive_more();
    } else if (armed_) {
      co_await disarm();
    } else {
      small_receives_ = 0;
      const int got = co_await reactor_.receive(fd_, into.subspan(filled), MSG_WAITALL);
      if (got > 0) {
        filled += static_cast<std::size_t>(got);
      } else {
        note_end(got);
      }
      continue;
    }
    filled += take_buffered(into.subspan(filled));
  }
  co_return Result<void>();
}

// --- Sending ---

Task<Result<void>> SocketStream::send(std::span<const iovec> vectors) {
  std::vector<iovec> rest;  // only after a short send
  while (!vectors.empty()) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(vectors.data());
    message.msg_iovlen = vectors.size();
    const int sent = co_await reactor_.send(fd_, message, MSG_NOSIGNAL | MSG_WAITALL);
    if (sent == -EINTR || sent == -EAGAIN) continue;
    if (sent <= 0) co_return fail(sent == 0 ? EPIPE : -sent);
    auto skip = static_cast<std::size_t>(sent);
    while (!vectors.empty() && skip >= vectors.front().iov_len) {
      skip -= vectors.front().iov_len;
      vectors = vectors.subspan(1);
    }
    if (skip == 0) continue;
    rest = std::vector<iovec>(vectors.begin(), vectors.end());  // a copy first: `vectors` may lie in `rest`
    rest.front().iov_base = static_cast<std::uint8_t*>(rest.front().iov_base) + skip;
    rest.front().iov_len -= skip;
    vectors = rest;
  }
  co_return Result<void>();
}

// --- The end ---

void SocketStream::shutdown() {
  if (shut_) return;
  shut_ = true;
  ::shutdown(fd_, SHUT_RDWR);
}

Task<void> SocketStream::close() {
  shutdown();
  co_await disarm();
  while (!head_.bytes.empty()) next_chunk();
  reactor_.forget_file(fd_);
  ::close(std::exchange(fd_, -1));
}

}  // namespace peerlane::io
