// Takes PDUs off a Stream, in the order in which their parts come: headers, then the data segment into wherever the
// caller wants it, then padding and digest. Used by login and full feature phase, on one reactor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/error.h"
#include "base/limits.h"
#include "io/stream.h"
#include "io/task.h"
#include "iscsi/pdu.h"

namespace peerlane::transport {

class PduReader {
 public:
  explicit PduReader(io::Stream& stream) : stream_(stream) {}

  void set_digests(bool header, bool data) {
    header_digest_ = header;
    data_digest_ = data;
  }

  /// Reads the next PDU's headers; the data segment of the one before has been read whole. Errors: the stream's;
  /// EBADMSG for a wrong header digest, after which nothing that follows can be trusted.
  io::Task<Result<void>> next() {
    const std::size_t size = headers_size();
    return size != 0 && stream_.buffered().size() >= size ? io::ready(take_headers(size)) : wait_for_headers();
  }

  /// The headers read last; valid until next().
  iscsi::BhsView bhs() const { return bhs_; }
  iscsi::BasicHeader header() const { return iscsi::BasicHeader(bhs_); }
  ByteView ahs() const { return ByteView(ahs_).first(header().total_ahs_length()); }

  /// What is left of the data segment, in bytes.
  std::size_t data_left() const { return data_left_; }

  /// Whether all of that has arrived: read() and finish() will not wait. May be false although it has.
  bool all_here() const {
    return stream_.buffered().size() >= data_left_ + padding_ + (data_digest_ ? iscsi::kDigestBytes : 0);
  }

  /// Reads the next `into.size()` bytes of the data segment, at most data_left().
  io::Task<Result<void>> read(ByteSpan into);

  /// Reads padding and digest, once all data are read. False: the data digest is wrong.
  io::Task<Result<bool>> finish();

  /// Reads the rest of the data segment into `into`, data_left() bytes, and finishes, if all of that has arrived: false
  /// for a wrong data digest. Nothing if it has not; then nothing was read.
  std::optional<bool> take(ByteSpan into);

  /// Reads what is left of the data segment without keeping it, and finishes. False: the data digest is wrong.
  io::Task<Result<bool>> skip();

 private:
  std::size_t headers_size() const;
  io::Task<Result<void>> wait_for_headers();
  Result<void> take_headers(std::size_t size);
  void count_read(ByteView bytes);
  io::Task<Result<void>> read_rest(ByteSpan into);
  std::size_t tail_size() const { return padding_ + (has_data_ && data_digest_ ? iscsi::kDigestBytes : 0); }
  bool take_tail(std::size_t size);
  io::Task<Result<bool>> wait_for_tail(std::size_t size);
  io::Task<Result<bool>> skip_all();

  io::Stream& stream_;
  bool header_digest_ = false;
  bool data_digest_ = false;
  std::array<std::uint8_t, iscsi::kBhsBytes> bhs_{};
  std::array<std::uint8_t, limits::kAhsBytes> ahs_{};
  std::size_t data_left_ = 0;
  std::size_t padding_ = 0;
  bool has_data_ = false;
  Crc32c data_crc_;
};

}  // namespace peerlane::transport
