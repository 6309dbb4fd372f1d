#include "scsi/sense.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

// RESPONSE CODE (SPC-4 table 26).
constexpr std::uint8_t kFixedCurrent = 0x70;
constexpr std::uint8_t kFixedDeferred = 0x71;
constexpr std::uint8_t kDescriptorCurrent = 0x72;
constexpr std::uint8_t kDescriptorDeferred = 0x73;
constexpr std::uint8_t kResponseCodeMask = 0x7f;
constexpr std::uint8_t kKeyMask = 0x0f;
constexpr std::uint8_t kValid = 0x80;

// Fixed format (SPC-4 table 48).
constexpr std::size_t kFixedKey = 2;
constexpr std::size_t kFixedInformation = 3;
constexpr std::size_t kFixedAdditionalLength = 7;
constexpr std::size_t kFixedCommandSpecific = 8;
constexpr std::size_t kFixedCode = 12;
constexpr std::size_t kFixedKeySpecific = 15;
constexpr std::size_t kFixedBytes = 18;

// Descriptor format (SPC-4 table 27) and its descriptors (tables 29, 30 and 31).
constexpr std::size_t kDescriptorKey = 1;
constexpr std::size_t kDescriptorCode = 2;
constexpr std::size_t kDescriptorAdditionalLength = 7;
constexpr std::size_t kDescriptorHeaderBytes = 8;
constexpr std::uint8_t kInformationType = 0x00;
constexpr std::size_t kInformationBytes = 12;
constexpr std::size_t kInformationValid = 2;
constexpr std::size_t kInformationValue = 4;
constexpr std::uint8_t kCommandSpecificType = 0x01;
constexpr std::size_t kCommandSpecificBytes = 12;
constexpr std::size_t kCommandSpecificValue = 4;
constexpr std::uint8_t kKeySpecificType = 0x02;
constexpr std::size_t kKeySpecificBytes = 8;
constexpr std::size_t kKeySpecificValue = 4;

// The three bytes of sense key specific data: field pointer (SPC-4 table 32), progress indication (table 34), segment
// pointer (table 35).
constexpr std::uint8_t kSksv = 0x80;
constexpr std::uint8_t kInCdb = 0x40;
constexpr std::uint8_t kInSegment = 0x20;
constexpr std::uint8_t kBitPointerValid = 0x08;
constexpr std::uint8_t kBitPointerMask = 0x07;

void put_field_pointer(const FieldPointer& field, ByteSpan out) {
  unsigned flags = kSksv;
  if (field.in_cdb) flags |= kInCdb;
  if (field.in_segment) flags |= kInSegment;
  if (field.bit) flags |= kBitPointerValid | (*field.bit & unsigned{kBitPointerMask});
  out[0] = static_cast<std::uint8_t>(flags);
  put_be16(out, 1, field.byte);
}

std::optional<FieldPointer> get_field_pointer(ByteView bytes, SenseKey key) {
  if ((bytes[0] & kSksv) == 0) return std::nullopt;
  if (key != SenseKey::kIllegalRequest && key != SenseKey::kCopyAborted) return std::nullopt;
  FieldPointer field;
  field.in_cdb = key == SenseKey::kIllegalRequest && (bytes[0] & kInCdb) != 0;
  field.in_segment = key == SenseKey::kCopyAborted && (bytes[0] & kInSegment) != 0;
  if ((bytes[0] & kBitPointerValid) != 0) field.bit = static_cast<std::uint8_t>(bytes[0] & kBitPointerMask);
  field.byte = get_be16(bytes, 1);
  return field;
}

bool reports_progress(SenseKey key) {
  return key == SenseKey::kNoSense || key == SenseKey::kNotReady;
}

std::optional<std::uint16_t> get_progress(ByteView bytes, SenseKey key) {
  if ((bytes[0] & kSksv) == 0 || !reports_progress(key)) return std::nullopt;
  return get_be16(bytes, 1);
}

/// Writes sense key specific data if there are any.
bool put_key_specific(const Sense& sense, ByteSpan out) {
  if (sense.field) {
    put_field_pointer(*sense.field, out);
  } else if (sense.progress) {
    out[0] = kSksv;
    put_be16(out, 1, *sense.progress);
  } else {
    return false;
  }
  return true;
}

std::size_t encode_fixed(const Sense& sense, ByteSpan out) {
  std::fill_n(out.begin(), kFixedBytes, std::uint8_t{0});
  const bool valid = sense.information && *sense.information <= UINT32_MAX;
  out[0] = static_cast<std::uint8_t>((sense.deferred ? kFixedDeferred : kFixedCurrent) | (valid ? kValid : 0));
  out[kFixedKey] = static_cast<std::uint8_t>(sense.key);
  if (valid) put_be32(out, kFixedInformation, static_cast<std::uint32_t>(*sense.information));
  out[kFixedAdditionalLength] = kFixedBytes - (kFixedAdditionalLength + 1);
  if (sense.command_specific && *sense.command_specific <= UINT32_MAX) {
    put_be32(out, kFixedCommandSpecific, static_cast<std::uint32_t>(*sense.command_specific));
  }
  put_be16(out, kFixedCode, static_cast<std::uint16_t>(sense.code));
  put_key_specific(sense, out.subspan(kFixedKeySpecific));
  return kFixedBytes;
}

std::size_t encode_descriptors(const Sense& sense, ByteSpan out) {
  std::size_t size = kDescriptorHeaderBytes;
  constexpr std::size_t kMost = kDescriptorHeaderBytes + kInformationBytes + kCommandSpecificBytes + kKeySpecificBytes;
  std::fill_n(out.begin(), kMost, std::uint8_t{0});
  out[0] = sense.deferred ? kDescriptorDeferred : kDescriptorCurrent;
  out[kDescriptorKey] = static_cast<std::uint8_t>(sense.key);
  put_be16(out, kDescriptorCode, static_cast<std::uint16_t>(sense.code));
  if (sense.information) {
    const ByteSpan descriptor = out.subspan(size, kInformationBytes);
    descriptor[0] = kInformationType;
    descriptor[1] = kInformationBytes - 2;
    descriptor[kInformationValid] = kValid;
    put_be64(descriptor, kInformationValue, *sense.information);
    size += kInformationBytes;
  }
  if (sense.command_specific) {
    const ByteSpan descriptor = out.subspan(size, kCommandSpecificBytes);
    descriptor[0] = kCommandSpecificType;
    descriptor[1] = kCommandSpecificBytes - 2;
    put_be64(descriptor, kCommandSpecificValue, *sense.command_specific);
    size += kCommandSpecificBytes;
  }
  const ByteSpan descriptor = out.subspan(size, kKeySpecificBytes);
  if (put_key_specific(sense, descriptor.subspan(kKeySpecificValue))) {
    descriptor[0] = kKeySpecificType;
    descriptor[1] = kKeySpecificBytes - 2;
    size += kKeySpecificBytes;
  }
  out[kDescriptorAdditionalLength] = static_cast<std::uint8_t>(size - kDescriptorHeaderBytes);
  return size;
}

std::optional<Sense> decode_fixed(ByteView bytes) {
  if (bytes.size() <= kFixedAdditionalLength) return std::nullopt;
  // Bytes past the ADDITIONAL SENSE LENGTH are not there, whatever they hold.
  const std::size_t size =
      std::min<std::size_t>(bytes.size(), kFixedAdditionalLength + 1 + bytes[kFixedAdditionalLength]);
  Sense sense;
  sense.key = static_cast<SenseKey>(bytes[kFixedKey] & kKeyMask);
  if ((bytes[0] & kValid) != 0) sense.information = get_be32(bytes, kFixedInformation);
  if (size >= kFixedCode && get_be32(bytes, kFixedCommandSpecific) != 0) {
    sense.command_specific = get_be32(bytes, kFixedCommandSpecific);
  }
  if (size >= kFixedCode + 2) sense.code = static_cast<SenseCode>(get_be16(bytes, kFixedCode));
  if (size >= kFixedKeySpecific + 3) {
    const ByteView specific = bytes.subspan(kFixedKeySpecific, 3);
    sense.field = get_field_pointer(specific, sense.key);
    sense.progress = get_progress(specific, sense.key);
  }
  sense.deferred = (bytes[0] & kResponseCodeMask) == kFixedDeferred;
  return sense;
}

std::optional<Sense> decode_descriptors(ByteView bytes) {
  if (bytes.size() < kDescriptorHeaderBytes) return std::nullopt;
  Sense sense;
  sense.key = static_cast<SenseKey>(bytes[kDescriptorKey] & kKeyMask);
  sense.code = static_cast<SenseCode>(get_be16(bytes, kDescriptorCode));
  sense.deferred = (bytes[0] & kResponseCodeMask) == kDescriptorDeferred;
  ByteView rest = bytes.subspan(kDescriptorHeaderBytes);
  rest = rest.first(std::min<std::size_t>(rest.size(), bytes[kDescriptorAdditionalLength]));
  while (rest.size() >= 2) {
    const std::size_t size = rest[1] + std::size_t{2};
    if (size > rest.size()) break;
    if (rest[0] == kInformationType && size >= kInformationBytes && (rest[kInformationValid] & kValid) != 0) {
      sense.information = get_be64(rest, kInformationValue);
    } else if (rest[0] == kCommandSpecificType && size >= kCommandSpecificBytes) {
      sense.command_specific = get_be64(rest, kCommandSpecificValue);
    } else if (rest[0] == kKeySpecificType && size >= kKeySpecificBytes) {
      sense.field = get_field_pointer(rest.subspan(kKeySpecificValue, 3), sense.key);
      sense.progress = get_progress(rest.subspan(kKeySpecificValue, 3), sense.key);
    }
    rest = rest.subspan(size);
  }
  return sense;
}

}  // namespace

std::size_t encode_sense(const Sense& sense, bool descriptor_format, ByteSpan out) {
  assert(out.size() >= kMaxSenseBytes);
  return descriptor_format ? encode_descriptors(sense, out) : encode_fixed(sense, out);
}

std::optional<Sense> decode_sense(ByteView bytes) {
  if (bytes.empty()) return std::nullopt;
  switch (bytes[0] & kResponseCodeMask) {
    case kFixedCurrent:
    case kFixedDeferred:
      return decode_fixed(bytes);
    case kDescriptorCurrent:
    case kDescriptorDeferred:
      return decode_descriptors(bytes);
    default:
      return std::nullopt;
  }
}

}  // namespace peerlane::scsi
