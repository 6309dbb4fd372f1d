#include "scsi/copy_operating_parameters.h"

namespace peerlane::scsi {
namespace {

constexpr std::size_t kAvailableData = 0;  // counts what follows it
constexpr std::size_t kAvailableDataBytes = 4;
constexpr std::size_t kFlags = 4;
constexpr std::uint8_t kSnlid = 0x01;
constexpr std::size_t kMaxCscds = 8;
constexpr std::size_t kMaxSegments = 10;
constexpr std::size_t kMaxDescriptorBytes = 12;
constexpr std::size_t kMaxSegmentBytes = 16;
constexpr std::size_t kMaxInlineBytes = 20;
constexpr std::size_t kHeldDataBytes = 24;
constexpr std::size_t kMaxStreamTransfer = 28;
constexpr std::size_t kTotalCopies = 34;
constexpr std::size_t kConcurrentCopies = 36;
constexpr std::size_t kDataGranularity = 37;
constexpr std::size_t kInlineGranularity = 38;
constexpr std::size_t kHeldGranularity = 39;
constexpr std::size_t kTypesLength = 43;
constexpr std::size_t kTypes = 44;
constexpr std::size_t kMostTypes = 255;

}  // namespace

std::vector<std::uint8_t> encode_copy_operating_parameters(const CopyOperatingParameters& parameters) {
  const std::size_t types = std::min(parameters.descriptor_types.size(), kMostTypes);
  std::vector<std::uint8_t> bytes(kTypes + types);
  put_be32(bytes, kAvailableData, static_cast<std::uint32_t>(bytes.size() - kAvailableDataBytes));
  if (parameters.no_list_identifier) bytes[kFlags] = kSnlid;
  put_be16(bytes, kMaxCscds, parameters.max_cscds);
  put_be16(bytes, kMaxSegments, parameters.max_segments);
  put_be32(bytes, kMaxDescriptorBytes, parameters.max_descriptor_bytes);
  put_be32(bytes, kMaxSegmentBytes, parameters.max_segment_bytes);
  put_be32(bytes, kMaxInlineBytes, parameters.max_inline_bytes);
  put_be32(bytes, kHeldDataBytes, parameters.held_data_bytes);
  put_be32(bytes, kMaxStreamTransfer, parameters.max_stream_transfer);
  put_be16(bytes, kTotalCopies, parameters.total_copies);
  bytes[kConcurrentCopies] = parameters.concurrent_copies;
  bytes[kDataGranularity] = parameters.data_granularity;
  bytes[kInlineGranularity] = parameters.inline_granularity;
  bytes[kHeldGranularity] = parameters.held_granularity;
  bytes[kTypesLength] = static_cast<std::uint8_t>(types);
  std::ranges::copy_n(parameters.descriptor_types.begin(), static_cast<std::ptrdiff_t>(types),
                      ByteSpan(bytes).subspan(kTypes).begin());
  return bytes;
}

std::optional<CopyOperatingParameters> decode_copy_operating_parameters(ByteView bytes) {
  if (bytes.size() < kTypes) return std::nullopt;
  CopyOperatingParameters parameters;
  parameters.no_list_identifier = (bytes[kFlags] & kSnlid) != 0;
  parameters.max_cscds = get_be16(bytes, kMaxCscds);
  parameters.max_segments = get_be16(bytes, kMaxSegments);
  parameters.max_descriptor_bytes = get_be32(bytes, kMaxDescriptorBytes);
  parameters.max_segment_bytes = get_be32(bytes, kMaxSegmentBytes);
  parameters.max_inline_bytes = get_be32(bytes, kMaxInlineBytes);
  parameters.held_data_bytes = get_be32(bytes, kHeldDataBytes);
  parameters.max_stream_transfer = get_be32(bytes, kMaxStreamTransfer);
  parameters.total_copies = get_be16(bytes, kTotalCopies);
  parameters.concurrent_copies = bytes[kConcurrentCopies];
  parameters.data_granularity = bytes[kDataGranularity];
  parameters.inline_granularity = bytes[kInlineGranularity];
  parameters.held_granularity = bytes[kHeldGranularity];
  const ByteView types = bytes.subspan(kTypes);
  const ByteView there = types.first(std::min<std::size_t>(types.size(), bytes[kTypesLength]));
  parameters.descriptor_types.assign(there.begin(), there.end());
  return parameters;
}

}  // namespace peerlane::scsi
