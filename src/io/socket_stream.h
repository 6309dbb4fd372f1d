// A TCP connection as a Stream, on a reactor.
//
// Bytes arrive in buffers of the reactor's receive ring, by a multishot receive while a peer sends small pieces; long
// data is received straight into its place, and then the multishot request rests for a while. Without a receive ring
// (see Features) the stream has one buffer of its own.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/limits.h"
#include "io/event.h"
#include "io/reactor.h"
#include "io/stream.h"

namespace peerlane::io {

class SocketStream final : public Stream {
 public:
  /// Takes the connected socket `fd`; sets TCP_NODELAY, keepalive, and a limit on unacknowledged data (kSendTimeout).
  SocketStream(Reactor& reactor, int fd);
  /// Requires that close() has completed.
  ~SocketStream() override;

  ByteView buffered() const override { return head_.bytes; }
  Task<Result<void>> wait_for(std::size_t least) override;
  void consume(std::size_t count) override;
  Task<Result<void>> receive(ByteSpan into) override;
  Task<Result<void>> send(std::span<const iovec> vectors) override;
  void shutdown() override;
  Task<void> close() override;
  const std::string& peer_address() const override { return peer_address_; }
  const std::string& local_address() const override { return local_address_; }

 private:
  static constexpr std::size_t kAssemblyBytes = 4096;
  static constexpr std::uint16_t kNoBuffer = 0xffff;  // not in the receive ring

  struct Chunk {
    ByteView bytes;
    std::uint16_t id = kNoBuffer;  // the ring's buffer it lies in, or kNoBuffer
  };
  struct Receiving final : Operation {
    SocketStream* stream = nullptr;
    void complete(int result, unsigned flags) override;
  };

  bool bulk() const { return small_receives_ < kSmallReceives; }
  void arm();
  void add_chunk(Chunk chunk);
  void release(Chunk& chunk);
  void next_chunk();
  void assemble(std::size_t least);
  std::size_t take_buffered(ByteSpan into);
  void note_end(int result);
  Task<void> receive_more();
  Task<void> receive_private();
  Task<void> disarm();

  static constexpr unsigned kSmallReceives = 16;

  Reactor& reactor_;
  int fd_;
  std::string peer_address_;
  std::string local_address_;

  // What has arrived and was not consumed: the head, then the chunks in the order in which they came. The head is empty
  // only if there are no chunks.
  Chunk head_;
  std::array<Chunk, limits::kReceiveBuffers + 1> chunks_;
  unsigned first_chunk_ = 0;
  unsigned chunk_count_ = 0;
  std::unique_ptr<std::array<std::uint8_t, kAssemblyBytes>> assembly_;  // joins a header that came in pieces
  std::vector<std::uint8_t> private_;                                   // where the ring has no buffer for us

  Receiving receiving_;
  bool armed_ = false;      // receiving_ is with the kernel
  bool canceling_ = false;  // and was asked to end
  bool shut_ = false;
  bool ring_exhausted_ = false;  // the last request found no buffer
  int error_ = 0;                // why nothing more will come; ENODATA: the peer has closed
  unsigned small_receives_ = 0;  // receives since long data came; see bulk()
  Event arrived_;
};

}  // namespace peerlane::io
