#include "transport/pdu_reader.h"

#include <algorithm>
#include <cassert>

namespace peerlane::transport {
namespace {

/// A digest comes with its least significant byte first (RFC 7143 §13.1).
std::uint32_t digest_at(ByteView bytes) {
  return std::uint32_t{bytes[0]} | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16 |
         std::uint32_t{bytes[3]} << 24;
}

}  // namespace

io::Task<Result<void>> PduReader::next() {
  assert(data_left_ == 0);
  if (stream_.buffered().size() < iscsi::kBhsBytes) {
    auto waited = co_await stream_.wait_for(iscsi::kBhsBytes);
    if (!waited) co_return std::unexpected(std::move(waited.error()));
  }
  std::ranges::copy(stream_.buffered().first(iscsi::kBhsBytes), bhs_.begin());
  const std::size_t ahs_size = header().total_ahs_length();
  const std::size_t size = iscsi::kBhsBytes + ahs_size + (header_digest_ ? iscsi::kDigestBytes : 0);
  if (stream_.buffered().size() < size) {
    auto waited = co_await stream_.wait_for(size);
    if (!waited) co_return std::unexpected(std::move(waited.error()));
  }
  const ByteView bytes = stream_.buffered().first(size);
  std::ranges::copy(bytes.subspan(iscsi::kBhsBytes, ahs_size), ahs_.begin());
  const bool intact =
      !header_digest_ || digest_at(bytes.last(iscsi::kDigestBytes)) == crc32c(bytes.first(iscsi::kBhsBytes + ahs_size));
  stream_.consume(size);
  if (!intact) co_return fail(EBADMSG, "the header digest is wrong");

  data_left_ = header().data_segment_length();
  padding_ = iscsi::padded(data_left_) - data_left_;
  has_data_ = data_left_ != 0;
  data_crc_ = {};
  co_return Result<void>();
}

io::Task<Result<void>> PduReader::read(ByteSpan into) {
  assert(into.size() <= data_left_);
  auto received = co_await stream_.receive(into);
  if (!received) co_return std::unexpected(std::move(received.error()));
  data_left_ -= into.size();
  if (data_digest_) data_crc_.add(into);
  co_return Result<void>();
}

io::Task<Result<bool>> PduReader::finish() {
  assert(data_left_ == 0);
  const std::size_t size = padding_ + (has_data_ && data_digest_ ? iscsi::kDigestBytes : 0);
  if (size == 0) co_return true;
  if (stream_.buffered().size() < size) {
    auto waited = co_await stream_.wait_for(size);
    if (!waited) co_return std::unexpected(std::move(waited.error()));
  }
  const ByteView tail = stream_.buffered().first(size);
  bool intact = true;
  if (data_digest_) {
    data_crc_.add(tail.first(padding_));
    intact = digest_at(tail.subspan(padding_)) == data_crc_.value();
  }
  stream_.consume(size);
  padding_ = 0;
  has_data_ = false;
  co_return intact;
}

io::Task<Result<bool>> PduReader::skip() {
  std::array<std::uint8_t, 1024> scrap;  // in the coroutine's frame, which must stay one that is pooled
  while (data_left_ != 0) {
    auto got = co_await read(ByteSpan(scrap).first(std::min(data_left_, scrap.size())));
    if (!got) co_return std::unexpected(std::move(got.error()));
  }
  auto finished = co_await finish();
  co_return finished;
}

}  // namespace peerlane::transport
