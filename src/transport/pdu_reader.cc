#include "transport/pdu_reader.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace peerlane::transport {
namespace {

/// A digest comes with its least significant byte first (RFC 7143 §13.1).
std::uint32_t digest_at(ByteView bytes) {
  return std::uint32_t{bytes[0]} | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16 |
         std::uint32_t{bytes[3]} << 24;
}

}  // namespace

/// The size of the headers that are next on the stream, with their digest; 0 as long as that cannot be told.
std::size_t PduReader::headers_size() const {
  const ByteView bytes = stream_.buffered();
  if (bytes.size() < iscsi::kBhsBytes) return 0;
  const std::size_t ahs_size = iscsi::BasicHeader(bytes.first<iscsi::kBhsBytes>()).total_ahs_length();
  return iscsi::kBhsBytes + ahs_size + (header_digest_ ? iscsi::kDigestBytes : 0);
}

io::Task<Result<void>> PduReader::wait_for_headers() {
  auto waited = co_await stream_.wait_for(iscsi::kBhsBytes);
  if (!waited) co_return std::unexpected(std::move(waited.error()));
  const std::size_t size = headers_size();
  waited = co_await stream_.wait_for(size);
  if (!waited) co_return std::unexpected(std::move(waited.error()));
  co_return take_headers(size);
}

Result<void> PduReader::take_headers(std::size_t size) {
  assert(data_left_ == 0);
  const ByteView bytes = stream_.buffered().first(size);
  std::memcpy(bhs_.data(), bytes.data(), bhs_.size());
  const std::size_t ahs_size = header().total_ahs_length();
  std::memcpy(ahs_.data(), bytes.data() + iscsi::kBhsBytes, ahs_size);
  const bool intact =
      !header_digest_ || digest_at(bytes.last(iscsi::kDigestBytes)) == crc32c(bytes.first(iscsi::kBhsBytes + ahs_size));
  stream_.consume(size);
  if (!intact) return fail(EBADMSG, "the header digest is wrong");

  data_left_ = header().data_segment_length();
  padding_ = iscsi::padded(data_left_) - data_left_;
  has_data_ = data_left_ != 0;
  data_crc_ = {};
  return {};
}

io::Task<Result<void>> PduReader::read(ByteSpan into) {
  assert(into.size() <= data_left_);
  if (stream_.buffered().size() < into.size()) return read_rest(into);
  if (!into.empty()) std::memcpy(into.data(), stream_.buffered().data(), into.size());
  stream_.consume(into.size());
  count_read(into);
  return io::ready(Result<void>());
}

io::Task<Result<void>> PduReader::read_rest(ByteSpan into) {
  auto received = co_await stream_.receive(into);
  if (!received) co_return std::unexpected(std::move(received.error()));
  count_read(into);
  co_return Result<void>();
}

void PduReader::count_read(ByteView bytes) {
  data_left_ -= bytes.size();
  if (data_digest_) data_crc_.add(bytes);
}

std::optional<bool> PduReader::take(ByteSpan into) {
  assert(into.size() == data_left_);
  const std::size_t size = tail_size();
  if (stream_.buffered().size() < into.size() + size) return std::nullopt;
  if (!into.empty()) {
    if (!into.empty()) std::memcpy(into.data(), stream_.buffered().data(), into.size());
    stream_.consume(into.size());
    count_read(into);
  }
  return take_tail(size);
}

io::Task<Result<bool>> PduReader::finish() {
  assert(data_left_ == 0);
  const std::size_t size = tail_size();
  if (stream_.buffered().size() < size) return wait_for_tail(size);
  return io::ready(Result<bool>(take_tail(size)));
}

io::Task<Result<bool>> PduReader::wait_for_tail(std::size_t size) {
  auto waited = co_await stream_.wait_for(size);
  if (!waited) co_return std::unexpected(std::move(waited.error()));
  co_return take_tail(size);
}

/// Takes padding and digest, `size` bytes. False: the digest is wrong.
bool PduReader::take_tail(std::size_t size) {
  if (size == 0) return true;
  const ByteView tail = stream_.buffered().first(size);
  bool intact = true;
  if (data_digest_) {
    data_crc_.add(tail.first(padding_));
    intact = digest_at(tail.subspan(padding_)) == data_crc_.value();
  }
  stream_.consume(size);
  padding_ = 0;
  has_data_ = false;
  return intact;
}

io::Task<Result<bool>> PduReader::skip() {
  return data_left_ == 0 ? finish() : skip_all();
}

io::Task<Result<bool>> PduReader::skip_all() {
  std::array<std::uint8_t, 1024> scrap;  // in the coroutine's frame, which must stay one that is pooled
  while (data_left_ != 0) {
    auto got = co_await read(ByteSpan(scrap).first(std::min(data_left_, scrap.size())));
    if (!got) co_return std::unexpected(std::move(got.error()));
  }
  auto finished = co_await finish();
  co_return finished;
}

}  // namespace peerlane::transport
