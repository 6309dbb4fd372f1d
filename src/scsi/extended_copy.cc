#include "scsi/extended_copy.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <optional>

#include "scsi/sense_codes.h"

namespace peerlane::scsi {
namespace {

/// Where the header of a form has what both have.
struct HeaderLayout {
  std::size_t bytes;
  CdbField list_identifier;
  CdbField cscd_length;
  CdbField segment_length;
  CdbField inline_length;
};
constexpr HeaderLayout kLid1Header{16, {0, 1}, {2, 2}, {8, 4}, {12, 4}};
constexpr HeaderLayout kLid4Header{48, {20, 4}, {42, 2}, {44, 2}, {46, 2}};

constexpr const HeaderLayout& header_of(CopyForm form) {
  return form == CopyForm::kLid1 ? kLid1Header : kLid4Header;
}

// STR, LIST ID USAGE and PRIORITY are in the same byte of both.
constexpr std::size_t kFlags = 1;
constexpr std::uint8_t kStr = 0x20;
constexpr unsigned kUsageShift = 3;
constexpr std::uint8_t kUsageMask = 0x03;
constexpr std::uint8_t kUsageBit = 4;
constexpr std::uint8_t kPriorityMask = 0x07;

// Of LID4 alone. Its bytes from 16 on pass for a CSCD descriptor.
constexpr std::size_t kFormat = 0;
constexpr std::uint8_t kFormatLid4 = 1;
constexpr std::size_t kHeaderCscdLength = 2;
constexpr std::size_t kFlagsLid4 = 15;
constexpr std::uint8_t kImmed = 0x01;
constexpr std::uint8_t kGoodWithSense = 0x02;
constexpr std::size_t kHeaderCscdType = 16;

Sense length_error() {
  return illegal_request(sense_codes::kParameterListLengthError);
}

/// ILLEGAL REQUEST that points to a byte of the parameter list.
Sense error_at(std::size_t byte, SenseCode code) {
  Sense sense = invalid_field_in_parameter_list(byte);
  sense.code = code;
  return sense;
}

/// The parts of a parameter list, all of them there.
struct Parts {
  std::size_t cscds_at = 0;
  std::size_t segments_at = 0;
  ByteView cscds = {};
  ByteView segments = {};
  ByteView inline_data = {};
};

std::expected<Parts, Sense> split(CopyForm form, ByteView list, const CopyOperatingParameters& limits) {
  const HeaderLayout& header = header_of(form);
  const std::uint64_t cscds = get_field(list, header.cscd_length);
  const std::uint64_t segments = get_field(list, header.segment_length);
  const std::uint64_t inline_data = get_field(list, header.inline_length);
  if (cscds % kCscdBytes != 0) return std::unexpected(invalid_field_in_parameter_list(header.cscd_length.offset));
  if (cscds + segments > limits.max_descriptor_bytes) return std::unexpected(length_error());
  if (inline_data > limits.max_inline_bytes) {
    return std::unexpected(error_at(header.inline_length.offset, sense_codes::kInlineDataLengthExceeded));
  }
  if (header.bytes + cscds + segments + inline_data > list.size()) return std::unexpected(length_error());
  Parts parts{.cscds_at = header.bytes, .segments_at = header.bytes + cscds};
  parts.cscds = list.subspan(parts.cscds_at, cscds);
  parts.segments = list.subspan(parts.segments_at, segments);
  parts.inline_data = list.subspan(parts.segments_at + segments, inline_data);
  return parts;
}

/// What the header says besides lengths.
std::optional<Sense> read_header(ByteView list, const CopyOperatingParameters& limits, ExtendedCopy& copy) {
  const HeaderLayout& header = header_of(copy.form);
  if (copy.form == CopyForm::kLid4) {
    if (list[kFormat] != kFormatLid4) return invalid_field_in_parameter_list(kFormat);
    if (get_be16(list, kHeaderCscdLength) != kCscdBytes) return invalid_field_in_parameter_list(kHeaderCscdLength);
    if (list[kHeaderCscdType] != kCscdExtension) return invalid_field_in_parameter_list(kHeaderCscdType);
    copy.immediate = (list[kFlagsLid4] & kImmed) != 0;
    copy.good_with_sense = (list[kFlagsLid4] & kGoodWithSense) != 0;
  }
  copy.list_identifier = static_cast<std::uint32_t>(get_field(list, header.list_identifier));
  copy.usage = static_cast<ListIdUsage>(list[kFlags] >> kUsageShift & kUsageMask);
  copy.sequential_striped = (list[kFlags] & kStr) != 0;
  copy.priority = list[kFlags] & kPriorityMask;
  const bool none = copy.usage == ListIdUsage::kNone;
  const bool known = none ? limits.no_list_identifier : copy.usage != static_cast<ListIdUsage>(1);
  if (!known) return invalid_field_in_parameter_list(kFlags, kUsageBit);
  if (none && copy.list_identifier != 0) return invalid_field_in_parameter_list(header.list_identifier.offset);
  return std::nullopt;
}

std::optional<Sense> read_cscds(const Parts& parts, const CopyOperatingParameters& limits, ExtendedCopy& copy) {
  for (std::size_t at = 0; at < parts.cscds.size();) {
    const std::size_t position = parts.cscds_at + at;
    if (copy.cscds.size() == limits.max_cscds) return error_at(position, sense_codes::kTooManyTargetDescriptors);
    if (!limits.implements(parts.cscds[at])) return error_at(position, sense_codes::kUnsupportedTargetDescriptor);
    auto cscd = decode_cscd(parts.cscds.subspan(at), position);
    if (!cscd) return cscd.error();
    at += cscd_bytes(*cscd);
    copy.cscds.push_back(std::move(*cscd));
  }
  return std::nullopt;
}

std::optional<Sense> read_segments(const Parts& parts, const CopyOperatingParameters& limits, ExtendedCopy& copy) {
  for (std::size_t at = 0; at < parts.segments.size();) {
    const std::size_t position = parts.segments_at + at;
    if (copy.segments.size() == limits.max_segments) {
      return error_at(position, sense_codes::kTooManySegmentDescriptors);
    }
    if (!limits.implements(parts.segments[at])) {
      return error_at(position, sense_codes::kUnsupportedSegmentDescriptor);
    }
    auto segment = decode_segment(parts.segments.subspan(at), position);
    if (!segment) return segment.error();
    const auto* const data = std::get_if<InlineSegment>(&*segment);
    if (data != nullptr && std::uint64_t{data->offset} + data->bytes > parts.inline_data.size()) {
      return error_at(position, sense_codes::kInlineDataLengthExceeded);
    }
    at += segment_bytes(*segment);
    copy.segments.push_back(*segment);
  }
  return std::nullopt;
}

/// Whether every segment names CSCD descriptors that there are.
std::optional<Sense> check_units(const ExtendedCopy& copy) {
  const auto there = [&](std::optional<std::uint16_t> id) {
    return !id || *id == kAddressedUnit || find_cscd(copy, *id) != nullptr;
  };
  for (std::size_t i = 0; i < copy.segments.size(); ++i) {
    const SegmentUnits units = units_of(copy.segments[i]);
    if (!there(units.source)) return copy_aborted(sense_codes::kUnreachableCopyTarget, i, kSegmentSource);
    if (!there(units.destination)) return copy_aborted(sense_codes::kUnreachableCopyTarget, i, kSegmentDestination);
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::uint8_t> encode_extended_copy(const ExtendedCopy& copy) {
  const HeaderLayout& header = header_of(copy.form);
  std::vector<std::uint8_t> list(header.bytes);
  put_field(list, header.list_identifier, copy.list_identifier);
  list[kFlags] = static_cast<std::uint8_t>((copy.sequential_striped ? unsigned{kStr} : 0u) |
                                           static_cast<unsigned>(copy.usage) << kUsageShift |
                                           (copy.priority & unsigned{kPriorityMask}));
  if (copy.form == CopyForm::kLid4) {
    list[kFormat] = kFormatLid4;
    put_be16(list, kHeaderCscdLength, kCscdBytes);
    list[kHeaderCscdType] = kCscdExtension;
    if (copy.immediate) list[kFlagsLid4] |= kImmed;
    if (copy.good_with_sense) list[kFlagsLid4] |= kGoodWithSense;
  }
  for (const Cscd& cscd : copy.cscds) append_cscd(cscd, list);
  const std::size_t segments_at = list.size();
  for (const CopySegment& segment : copy.segments) append_segment(segment, list);
  put_field(list, header.cscd_length, segments_at - header.bytes);
  put_field(list, header.segment_length, list.size() - segments_at);
  put_field(list, header.inline_length, copy.inline_data.size());
  list.insert(list.end(), copy.inline_data.begin(), copy.inline_data.end());
  return list;
}

std::expected<ExtendedCopy, Sense> decode_extended_copy(CopyForm form, ByteView list,
                                                        const CopyOperatingParameters& limits) {
  if (list.size() < header_of(form).bytes) return std::unexpected(length_error());
  ExtendedCopy copy{.form = form};
  if (const auto error = read_header(list, limits, copy)) return std::unexpected(*error);
  const auto parts = split(form, list, limits);
  if (!parts) return std::unexpected(parts.error());
  if (const auto error = read_cscds(*parts, limits, copy)) return std::unexpected(*error);
  if (const auto error = read_segments(*parts, limits, copy)) return std::unexpected(*error);
  if (const auto error = check_units(copy)) return std::unexpected(*error);
  copy.inline_data.assign(parts->inline_data.begin(), parts->inline_data.end());
  return copy;
}

const Cscd* find_cscd(const ExtendedCopy& copy, std::uint16_t id) {
  std::size_t place = 0;
  for (const Cscd& cscd : copy.cscds) {
    if (place == id) return &cscd;
    place += cscd_bytes(cscd) / kCscdBytes;
  }
  return nullptr;
}

Sense copy_aborted(SenseCode code, std::size_t segment, std::size_t byte) {
  Sense sense;
  sense.key = SenseKey::kCopyAborted;
  sense.code = code;
  sense.command_specific = segment;
  if (byte != 0) {
    sense.field =
        FieldPointer{.in_cdb = false, .bit = {}, .byte = static_cast<std::uint16_t>(byte), .in_segment = true};
  }
  return sense;
}

}  // namespace peerlane::scsi
