#include "scsi/copy_segment.h"

#include <algorithm>
#include <array>

#include "scsi/sense_codes.h"

namespace peerlane::scsi {
namespace {

// What all descriptors begin with.
constexpr std::size_t kFlags = 1;
constexpr std::uint8_t kDestinationCount = 0x02;
constexpr std::uint8_t kCat = 0x01;
constexpr std::size_t kDescriptorLength = 2;  // counts what follows it
constexpr std::size_t kDescriptorHeaderBytes = 4;

// 02h.
constexpr std::size_t kBlocks = 10;
constexpr std::size_t kBlocksSourceLba = 12;
constexpr std::size_t kBlocksDestinationLba = 20;

// 0Ah.
constexpr std::size_t kBytes = 8;
constexpr std::size_t kBytesSourceLba = 12;
constexpr std::size_t kBytesDestinationLba = 20;
constexpr std::size_t kBytesSourceOffset = 28;
constexpr std::size_t kBytesDestinationOffset = 30;

// 04h.
constexpr std::size_t kInlineTransferLength = 9;
constexpr std::size_t kInlineOffset = 12;
constexpr std::size_t kInlineBytes = 16;

// 07h.
constexpr std::size_t kVerifyFlags = 8;
constexpr std::uint8_t kTur = 0x01;

// 14h.
constexpr std::size_t kKey = 8;
constexpr std::size_t kActionKey = 16;

struct SegmentSize {
  std::uint8_t type;
  std::uint8_t bytes;
};
constexpr std::array kSizes = std::to_array<SegmentSize>({{kBlockToBlock, 28},
                                                          {kInlineToStream, 20},
                                                          {kVerifyCscd, 12},
                                                          {kBlockOffsetToBlockOffset, 32},
                                                          {kRegisterKey, 28}});

/// 0 for types that this code does not know.
std::size_t bytes_of_type(std::uint8_t type) {
  const auto* const found = std::ranges::find(kSizes, type, &SegmentSize::type);
  return found == kSizes.end() ? 0 : found->bytes;
}

void write(const BlocksSegment& segment, ByteSpan out) {
  if (segment.cat) out[kFlags] |= kCat;
  if (segment.destination_count) out[kFlags] |= kDestinationCount;
  put_be16(out, kBlocks, segment.blocks);
  put_be64(out, kBlocksSourceLba, segment.source_lba.value);
  put_be64(out, kBlocksDestinationLba, segment.destination_lba.value);
}

void write(const BytesSegment& segment, ByteSpan out) {
  if (segment.cat) out[kFlags] |= kCat;
  put_be32(out, kBytes, segment.bytes);
  put_be64(out, kBytesSourceLba, segment.source_lba.value);
  put_be64(out, kBytesDestinationLba, segment.destination_lba.value);
  put_be16(out, kBytesSourceOffset, segment.source_offset);
  put_be16(out, kBytesDestinationOffset, segment.destination_offset);
}

void write(const InlineSegment& segment, ByteSpan out) {
  if (segment.cat) out[kFlags] |= kCat;
  put_be24(out, kInlineTransferLength, segment.transfer_length);
  put_be32(out, kInlineOffset, segment.offset);
  put_be32(out, kInlineBytes, segment.bytes);
}

void write(const VerifySegment& segment, ByteSpan out) {
  if (segment.test_unit_ready) out[kVerifyFlags] |= kTur;
}

void write(const RegisterSegment& segment, ByteSpan out) {
  put_be64(out, kKey, segment.key);
  put_be64(out, kActionKey, segment.action_key);
}

/// A whole descriptor of a type that is known.
CopySegment read(ByteView bytes) {
  const std::uint16_t source = get_be16(bytes, kSegmentSource);
  const std::uint16_t destination = get_be16(bytes, kSegmentDestination);
  const bool cat = (bytes[kFlags] & kCat) != 0;
  switch (bytes[0]) {
    case kBlockToBlock:
      return BlocksSegment{.source = source,
                           .destination = destination,
                           .cat = cat,
                           .destination_count = (bytes[kFlags] & kDestinationCount) != 0,
                           .blocks = get_be16(bytes, kBlocks),
                           .source_lba = {get_be64(bytes, kBlocksSourceLba)},
                           .destination_lba = {get_be64(bytes, kBlocksDestinationLba)}};
    case kBlockOffsetToBlockOffset:
      return BytesSegment{.source = source,
                          .destination = destination,
                          .cat = cat,
                          .bytes = get_be32(bytes, kBytes),
                          .source_lba = {get_be64(bytes, kBytesSourceLba)},
                          .destination_lba = {get_be64(bytes, kBytesDestinationLba)},
                          .source_offset = get_be16(bytes, kBytesSourceOffset),
                          .destination_offset = get_be16(bytes, kBytesDestinationOffset)};
    case kInlineToStream:
      return InlineSegment{.destination = destination,
                           .cat = cat,
                           .transfer_length = get_be24(bytes, kInlineTransferLength),
                           .offset = get_be32(bytes, kInlineOffset),
                           .bytes = get_be32(bytes, kInlineBytes)};
    case kVerifyCscd:
      return VerifySegment{.source = source, .test_unit_ready = (bytes[kVerifyFlags] & kTur) != 0};
    default:
      return RegisterSegment{
          .destination = destination, .key = get_be64(bytes, kKey), .action_key = get_be64(bytes, kActionKey)};
  }
}

}  // namespace

SegmentUnits units_of(const CopySegment& segment) {
  struct UnitsOf {
    SegmentUnits operator()(const BlocksSegment& s) const { return {s.source, s.destination}; }
    SegmentUnits operator()(const BytesSegment& s) const { return {s.source, s.destination}; }
    SegmentUnits operator()(const InlineSegment& s) const { return {.destination = s.destination}; }
    SegmentUnits operator()(const VerifySegment& s) const { return {.source = s.source}; }
    SegmentUnits operator()(const RegisterSegment& s) const { return {.destination = s.destination}; }
  };
  return std::visit(UnitsOf{}, segment);
}

std::uint8_t segment_type(const CopySegment& segment) {
  struct TypeOf {
    std::uint8_t operator()(const BlocksSegment&) const { return kBlockToBlock; }
    std::uint8_t operator()(const BytesSegment&) const { return kBlockOffsetToBlockOffset; }
    std::uint8_t operator()(const InlineSegment&) const { return kInlineToStream; }
    std::uint8_t operator()(const VerifySegment&) const { return kVerifyCscd; }
    std::uint8_t operator()(const RegisterSegment&) const { return kRegisterKey; }
  };
  return std::visit(TypeOf{}, segment);
}

std::size_t segment_bytes(const CopySegment& segment) {
  return bytes_of_type(segment_type(segment));
}

void append_segment(const CopySegment& segment, std::vector<std::uint8_t>& out) {
  const std::size_t at = out.size();
  out.resize(at + segment_bytes(segment));
  const ByteSpan bytes = ByteSpan(out).subspan(at);
  bytes[0] = segment_type(segment);
  put_be16(bytes, kDescriptorLength, static_cast<std::uint16_t>(bytes.size() - kDescriptorHeaderBytes));
  const SegmentUnits units = units_of(segment);
  put_be16(bytes, kSegmentSource, units.source.value_or(0));
  put_be16(bytes, kSegmentDestination, units.destination.value_or(0));
  std::visit([&](const auto& kind) { write(kind, bytes); }, segment);
}

std::expected<CopySegment, Sense> decode_segment(ByteView list, std::size_t position) {
  if (list.size() < kDescriptorHeaderBytes) {
    return std::unexpected(illegal_request(sense_codes::kParameterListLengthError));
  }
  const std::size_t size = bytes_of_type(list[0]);
  if (size == 0) {
    Sense unsupported = invalid_field_in_parameter_list(position);
    unsupported.code = sense_codes::kUnsupportedSegmentDescriptor;
    return std::unexpected(unsupported);
  }
  if (kDescriptorHeaderBytes + get_be16(list, kDescriptorLength) != size) {
    return std::unexpected(invalid_field_in_parameter_list(position + kDescriptorLength));
  }
  if (list.size() < size) return std::unexpected(illegal_request(sense_codes::kParameterListLengthError));
  return read(list.first(size));
}

}  // namespace peerlane::scsi
