// A connected byte stream in both directions: a TCP connection, or in tests a faulty imitation of one. Owned and used
// by one reactor. One receiving and one sending coroutine at a time.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include <sys/uio.h>

#include "base/bytes.h"
#include "base/error.h"
#include "io/task.h"

namespace peerlane::io {

class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  /// The bytes that have arrived and were not consumed, as far as they lie together. Valid until the next call but
  /// consume().
  virtual ByteView buffered() const = 0;

  /// Waits until at least `least` bytes (at most 4 KiB) lie together in buffered(). Errors: ECONNRESET and the like;
  /// ENODATA when the peer has closed and fewer bytes are left.
  virtual Task<Result<void>> wait_for(std::size_t least) = 0;

  /// Forgets the first `count` of the buffered bytes.
  virtual void consume(std::size_t count) = 0;

  /// Fills `into` with the next bytes, received in place where that is worth it. Errors as wait_for.
  virtual Task<Result<void>> receive(ByteSpan into) = 0;

  /// Sends all of `vectors` (at most limits::kSendVectors), which stay in place until it completes.
  virtual Task<Result<void>> send(std::span<const iovec> vectors) = 0;

  /// Ends the stream in both directions: what waits on it fails with ECONNABORTED or as the system says.
  virtual void shutdown() = 0;

  /// Shuts down, and waits until nothing of the stream is under way; then it may be destroyed. Call it once, when
  /// neither a receiving nor a sending coroutine is left.
  virtual Task<void> close() = 0;

  /// Both ends' numeric addresses, "127.0.0.1:3260" or "[::1]:3260".
  virtual const std::string& peer_address() const = 0;
  virtual const std::string& local_address() const = 0;
};

}  // namespace peerlane::io
