#include "scsi/token_parameters.h"

#include <algorithm>
#include <cassert>

#include "scsi/sense_codes.h"

namespace peerlane::scsi {
namespace {

// What both lists have in common.
constexpr std::size_t kDataLength = 0;  // counts what follows the field itself
constexpr std::size_t kDataLengthBytes = 2;
constexpr std::size_t kFlags = 2;
constexpr std::uint8_t kImmed = 0x01;
constexpr std::size_t kRangesLengthBytes = 2;  // BLOCK DEVICE RANGE DESCRIPTOR LENGTH, just before the ranges

// POPULATE TOKEN.
constexpr std::uint8_t kRodTypeValid = 0x02;
constexpr std::size_t kInactivityTimeout = 4;
constexpr std::size_t kRodType = 8;
constexpr std::size_t kPopulateHeaderBytes = 16;

// WRITE USING TOKEN.
constexpr std::uint8_t kDeleteToken = 0x02;
constexpr std::size_t kOffset = 8;
constexpr std::size_t kToken = 16;
constexpr std::size_t kWriteHeaderBytes = 536;

Sense length_error() {
  return illegal_request(sense_codes::kParameterListLengthError);
}

/// The list up to its ranges, zeroed but for lengths, and these.
std::vector<std::uint8_t> frame(std::size_t header_bytes, const std::vector<BlockRange>& ranges) {
  const std::size_t ranges_bytes = ranges.size() * kBlockRangeBytes;
  std::vector<std::uint8_t> list(header_bytes + ranges_bytes);
  assert(list.size() - kDataLengthBytes <= UINT16_MAX);
  put_be16(list, kDataLength, static_cast<std::uint16_t>(list.size() - kDataLengthBytes));
  put_be16(list, header_bytes - kRangesLengthBytes, static_cast<std::uint16_t>(ranges_bytes));
  std::size_t at = header_bytes;
  for (const BlockRange& range : ranges) {
    put_block_range(range, ByteSpan(list).subspan(at));
    at += kBlockRangeBytes;
  }
  return list;
}

bool overlap(std::vector<BlockRange> ranges) {
  std::erase_if(ranges, [](const BlockRange& range) { return range.count.value == 0; });
  std::ranges::sort(ranges, {}, &BlockRange::lba);
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if ((ranges[i].lba - ranges[i - 1].lba) < ranges[i - 1].count) return true;
  }
  return false;
}

/// The ranges after a header of `header_bytes`, which is there.
std::expected<std::vector<BlockRange>, Sense> read_ranges(ByteView list, std::size_t header_bytes,
                                                          const TokenLimits& limits) {
  const std::size_t length_field = header_bytes - kRangesLengthBytes;
  const std::size_t data_end = kDataLengthBytes + get_be16(list, kDataLength);
  const std::size_t ranges_bytes = get_be16(list, length_field);
  if (data_end < header_bytes + kBlockRangeBytes) return std::unexpected(invalid_field_in_parameter_list(kDataLength));
  if (ranges_bytes < kBlockRangeBytes || header_bytes + ranges_bytes > data_end) {
    return std::unexpected(invalid_field_in_parameter_list(length_field));
  }
  if (header_bytes + ranges_bytes > list.size()) return std::unexpected(length_error());
  const std::size_t count = ranges_bytes / kBlockRangeBytes;
  if (limits.max_ranges != 0 && count > limits.max_ranges) {
    return std::unexpected(illegal_request(sense_codes::kTooManySegmentDescriptors));
  }
  std::vector<BlockRange> ranges(count);
  for (std::size_t i = 0; i < count; ++i) {
    ranges[i] = get_block_range(list.subspan(header_bytes + i * kBlockRangeBytes, kBlockRangeBytes));
  }
  const bool too_much = limits.max_blocks != 0 && total_blocks(ranges) > limits.max_blocks;
  if (too_much || overlap(ranges)) return std::unexpected(invalid_field_in_parameter_list(header_bytes));
  return ranges;
}

}  // namespace

std::uint64_t total_blocks(const std::vector<BlockRange>& ranges) {
  std::uint64_t total = 0;
  for (const BlockRange& range : ranges) total += range.count.value;
  return total;
}

std::vector<std::uint8_t> encode_populate_token(const PopulateTokenParameters& parameters) {
  std::vector<std::uint8_t> list = frame(kPopulateHeaderBytes, parameters.ranges);
  if (parameters.immediate) list[kFlags] |= kImmed;
  put_be32(list, kInactivityTimeout, parameters.inactivity_timeout);
  if (parameters.type) {
    list[kFlags] |= kRodTypeValid;
    put_be32(list, kRodType, static_cast<std::uint32_t>(*parameters.type));
  }
  return list;
}

std::vector<std::uint8_t> encode_write_using_token(const WriteUsingTokenParameters& parameters) {
  std::vector<std::uint8_t> list = frame(kWriteHeaderBytes, parameters.ranges);
  if (parameters.immediate) list[kFlags] |= kImmed;
  if (parameters.delete_token) list[kFlags] |= kDeleteToken;
  put_be64(list, kOffset, parameters.offset);
  std::ranges::copy(parameters.token, ByteSpan(list).subspan(kToken).begin());
  return list;
}

std::expected<PopulateTokenParameters, Sense> decode_populate_token(ByteView list, const TokenLimits& limits) {
  if (list.size() < kPopulateHeaderBytes) return std::unexpected(length_error());
  PopulateTokenParameters parameters;
  parameters.immediate = (list[kFlags] & kImmed) != 0;
  parameters.inactivity_timeout = get_be32(list, kInactivityTimeout);
  if ((list[kFlags] & kRodTypeValid) != 0) parameters.type = rod_type(list.subspan(kRodType));
  if (limits.max_inactivity != 0 && parameters.inactivity_timeout > limits.max_inactivity) {
    return std::unexpected(invalid_field_in_parameter_list(kInactivityTimeout));
  }
  auto ranges = read_ranges(list, kPopulateHeaderBytes, limits);
  if (!ranges) return std::unexpected(ranges.error());
  parameters.ranges = std::move(*ranges);
  return parameters;
}

std::expected<WriteUsingTokenParameters, Sense> decode_write_using_token(ByteView list, const TokenLimits& limits) {
  if (list.size() < kWriteHeaderBytes) return std::unexpected(length_error());
  WriteUsingTokenParameters parameters;
  parameters.immediate = (list[kFlags] & kImmed) != 0;
  parameters.delete_token = (list[kFlags] & kDeleteToken) != 0;
  parameters.offset = get_be64(list, kOffset);
  std::ranges::copy(list.subspan(kToken, kRodTokenBytes), parameters.token.begin());
  auto ranges = read_ranges(list, kWriteHeaderBytes, limits);
  if (!ranges) return std::unexpected(ranges.error());
  parameters.ranges = std::move(*ranges);
  return parameters;
}

}  // namespace peerlane::scsi
