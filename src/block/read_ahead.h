// Finds sequential readers among the reads of a disk, and says what they will want next.
//
// Several streams are told apart by where each one will go on; a read that continues none takes the place of the one
// that has been quiet for the longest time. From its third read in a row on, a stream is read ahead of, by half of what
// it has read so far and by at most what is configured. So what is read in vain when a stream ends is never more than
// half of what was read of it for good reason, and short runs cost nothing. Nothing is read ahead but in answer to a
// read of the stream: when the pattern changes, it stops by itself.
//
// Pure: knows neither device nor cache. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/limits.h"

namespace peerlane::block {

class ReadAhead {
 public:
  struct Range {
    std::uint64_t offset;
    std::uint64_t length;
  };
  struct Advice {
    bool goes_on = false;        // the read goes on where an earlier one ended
    std::optional<Range> ahead;  // to be read now; whole units of kUnit
  };
  static constexpr std::uint64_t kUnit = 4096;

  /// Reads ahead by at most `most` bytes; 0: never.
  explicit ReadAhead(std::uint64_t most) : most_(most / kUnit * kUnit) {}

  bool enabled() const { return most_ != 0; }

  /// Notes a read of `length` bytes at `offset` of a disk of `size` bytes.
  Advice note(std::uint64_t offset, std::uint64_t length, std::uint64_t size);

 private:
  static constexpr std::uint64_t kLeast = 64u << 10;  // reading ahead by less is not worth a read
  static constexpr unsigned kReads = 3;               // in a row, that make a stream

  struct Stream {
    std::uint64_t next = UINT64_MAX;  // where it will go on
    std::uint64_t run = 0;            // bytes in a row so far
    std::uint64_t ahead_end = 0;      // up to where it has been read ahead
    unsigned reads = 0;               // in a row so far
    std::uint64_t last_used = 0;
  };

  Stream& stream_of(std::uint64_t offset, bool& goes_on);

  const std::uint64_t most_;
  std::uint64_t clock_ = 0;
  std::array<Stream, limits::kReadAheadStreams> streams_;
};

}  // namespace peerlane::block
