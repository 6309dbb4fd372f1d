#include "scsi/transport_id.h"

#include <algorithm>
#include <cassert>
#include <charconv>
#include <string_view>

#include <fmt/format.h>

#include "scsi/vpd.h"

namespace peerlane::scsi {
namespace {

// Both formats (SPC-4 tables 469 and 470).
constexpr std::size_t kFormatAndProtocol = 0;
constexpr std::size_t kAdditionalLength = 2;
constexpr std::size_t kHeaderBytes = 4;
constexpr std::uint8_t kFormatMask = 0xc0;
constexpr std::uint8_t kDeviceFormat = 0x00;
constexpr std::uint8_t kPortFormat = 0x40;
constexpr std::uint8_t kProtocolMask = 0x0f;
constexpr std::size_t kLeastAdditionalLength = 20;

constexpr std::string_view kSeparator = ",i,0x";
constexpr std::size_t kIsidDigits = 12;

constexpr std::size_t padded(std::size_t size) {
  return (size + 3) / 4 * 4;
}

/// Splits "name,i,0x123456789abc".
std::optional<TransportId> parse_port(std::string_view text) {
  const auto separator = text.find(',');
  if (separator == std::string_view::npos) return std::nullopt;
  const std::string_view tail = text.substr(separator);
  const bool upper = tail.starts_with(",i,0X");
  if (!tail.starts_with(kSeparator) && !upper) return std::nullopt;
  const std::string_view digits = tail.substr(kSeparator.size());
  if (digits.empty() || digits.size() > kIsidDigits) return std::nullopt;
  std::uint64_t isid = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), isid, 16);
  if (parsed.ec != std::errc() || parsed.ptr != digits.data() + digits.size()) return std::nullopt;
  return TransportId{std::string(text.substr(0, separator)), isid};
}

}  // namespace

std::size_t encode_transport_id(const TransportId& id, ByteSpan out) {
  const std::string text = id.isid ? fmt::format("{}{}{:012x}", id.name, kSeparator, *id.isid) : id.name;
  const std::size_t additional = std::max(padded(text.size() + 1), kLeastAdditionalLength);
  assert(out.size() >= kHeaderBytes + additional);
  std::ranges::fill(out.first(kHeaderBytes + additional), std::uint8_t{0});
  out[kFormatAndProtocol] = kProtocolIscsi | (id.isid ? kPortFormat : kDeviceFormat);
  put_be16(out, kAdditionalLength, static_cast<std::uint16_t>(additional));
  std::ranges::copy(as_bytes(text), out.begin() + kHeaderBytes);
  return kHeaderBytes + additional;
}

std::optional<DecodedTransportId> decode_transport_id(ByteView bytes) {
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  const std::size_t additional = get_be16(bytes, kAdditionalLength);
  const std::size_t size = kHeaderBytes + additional;
  if ((bytes[kFormatAndProtocol] & kProtocolMask) != kProtocolIscsi || additional < kLeastAdditionalLength ||
      additional % 4 != 0 || size > bytes.size()) {
    return std::nullopt;
  }
  const std::string_view field = as_text(bytes.subspan(kHeaderBytes, additional));
  const auto end = field.find('\0');
  if (end == std::string_view::npos || end == 0) return std::nullopt;
  const std::string_view text = field.substr(0, end);
  switch (bytes[kFormatAndProtocol] & kFormatMask) {
    case kDeviceFormat:
      if (text.find(',') != std::string_view::npos) return std::nullopt;
      return DecodedTransportId{{std::string(text)}, size};
    case kPortFormat:
      if (auto port = parse_port(text)) return DecodedTransportId{std::move(*port), size};
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace peerlane::scsi
