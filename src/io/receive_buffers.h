// The receive buffers of a reactor: a ring of buffers that the kernel picks from when bytes arrive, so that a
// connection that is silent holds none (io_uring's provided buffers). Belongs to one reactor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <liburing.h>

#include "base/bytes.h"

namespace peerlane::io {

class ReceiveBuffers {
 public:
  static constexpr std::uint16_t kGroup = 0;  // the buffer group's number in the ring

  /// Registers the buffers with `ring`; nothing where the kernel cannot.
  static std::unique_ptr<ReceiveBuffers> create(io_uring& ring);
  ~ReceiveBuffers();
  ReceiveBuffers(const ReceiveBuffers&) = delete;
  ReceiveBuffers& operator=(const ReceiveBuffers&) = delete;

  /// The memory of buffer `id`, all of it.
  ByteSpan at(std::uint16_t id) const;

  /// Gives a buffer back to the kernel.
  void put_back(std::uint16_t id);

 private:
  ReceiveBuffers(io_uring& ring, io_uring_buf_ring* entries, ByteSpan memory);

  io_uring& ring_;
  io_uring_buf_ring* entries_;
  ByteSpan memory_;
};

}  // namespace peerlane::io
