#include "iscsi/pdu.h"

#include <cassert>
#include <tuple>

#include "base/limits.h"

namespace peerlane::iscsi {
namespace {

// RFC 7143 §11.2.2: AHSLength (two bytes: how many bytes follow AHSType, without padding), AHSType, AHS-Specific.
constexpr std::size_t kAhsHeaderBytes = 3;
constexpr std::uint8_t kExtendedCdb = 1;
constexpr std::uint8_t kBidiReadLength = 2;
constexpr std::uint8_t kTypeMask = 0x3f;

// Both types have one reserved byte before their content, which AHSLength counts.
constexpr std::size_t kReservedBytes = 1;
constexpr std::size_t kBidiReadLengthBytes = 4;

}  // namespace

Decoded<AdditionalHeaders> decode_ahs(ByteView bytes) {
  AdditionalHeaders found;
  while (!bytes.empty()) {
    if (bytes.size() < kAhsHeaderBytes + kReservedBytes) {
      return malformed(RejectReason::kInvalidPduField, "an AHS is cut off");
    }
    const std::size_t length = get_be16(bytes, 0);
    const std::uint8_t type = bytes[2] & kTypeMask;
    const std::size_t whole = padded(kAhsHeaderBytes + length);
    if (whole > bytes.size()) return malformed(RejectReason::kInvalidPduField, "AHSLength exceeds TotalAHSLength");
    if (length <= kReservedBytes) return malformed(RejectReason::kInvalidPduField, "AHSLength is too small");
    const ByteView content = bytes.subspan(kAhsHeaderBytes + kReservedBytes, length - kReservedBytes);

    if (type == kExtendedCdb) {
      if (!found.extended_cdb.empty()) return malformed(RejectReason::kInvalidPduField, "two Extended CDB AHS");
      if (content.size() > limits::kMaxCdbBytes - std::tuple_size_v<decltype(ScsiCommand::cdb)>) {
        return malformed(RejectReason::kInvalidPduField, "the CDB is longer than any that SPC-4 defines");
      }
      found.extended_cdb = content;
    } else if (type == kBidiReadLength) {
      if (content.size() != kBidiReadLengthBytes) {
        return malformed(RejectReason::kInvalidPduField, "AHSLength is wrong for its type");
      }
      if (found.expected_bidi_read_length)
        return malformed(RejectReason::kInvalidPduField, "two Bidirectional Read AHS");
      found.expected_bidi_read_length = get_be32(content, 0);
    } else {
      return malformed(RejectReason::kInvalidPduField, "AHSType is unknown");
    }
    bytes = bytes.subspan(whole);
  }
  return found;
}

std::size_t encode_extended_cdb(ByteView rest, ByteSpan out) {
  const std::size_t whole = padded(kAhsHeaderBytes + kReservedBytes + rest.size());
  assert(!rest.empty() && whole <= out.size() && whole <= limits::kAhsBytes);
  std::ranges::fill(out.first(whole), std::uint8_t{0});
  put_be16(out, 0, static_cast<std::uint16_t>(kReservedBytes + rest.size()));
  out[2] = kExtendedCdb;
  std::ranges::copy(rest, out.begin() + kAhsHeaderBytes + kReservedBytes);
  return whole;
}

}  // namespace peerlane::iscsi
