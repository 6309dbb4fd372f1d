// One end of a copy: a disk, and what a copy has to know about it that a disk does not tell.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "block/device.h"

namespace peerlane::copy {

class StreamSink;
class StreamSource;

/// A size or an offset that is not known, or not there.
inline constexpr std::uint64_t kUnknown = UINT64_MAX;

/// Borrows its device, which outlives the copy.
struct End {
  block::Device* device = nullptr;
  std::string name;        // as the user named it: for messages
  std::uint64_t size = 0;  // bytes, exact. The device's own size may be this rounded up to its blocks; what a copy
                           // writes there is zeroes.

  /// As a destination: from this offset on it is known to read as zeroes, as a file just made does.
  std::uint64_t zero_from = kUnknown;

  /// Set where the bytes can only be had in their order, and only once: standard input. Its size is then the most that
  /// there may be.
  StreamSource* stream = nullptr;
  /// The same for a destination: standard output. It cannot be read back.
  StreamSink* sink = nullptr;

  /// What this end is, in a form that tells it from another one of the same name and from itself after a change. For
  /// journals; empty: a copy from or to here cannot be resumed.
  std::string identity;

  /// Called when all bytes of a copy have been written to this destination, with the offset at which they end, before
  /// it is flushed. May be empty.
  std::function<Result<void>(std::uint64_t)> settle;

  /// What reads and writes here are multiples of, in bytes.
  std::uint64_t block() const {
    return stream != nullptr || sink != nullptr ? 1 : device->geometry().logical_block_size;
  }
};

}  // namespace peerlane::copy
