#include "scsi/log_page.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

// Header (SPC-4 table 349).
constexpr std::uint8_t kSubpageFormat = 0x40;
constexpr std::uint8_t kPageMask = 0x3f;
constexpr std::size_t kPageLength = 2;

// Parameter (SPC-4 table 350): its control byte and length.
constexpr std::size_t kControl = 2;
constexpr std::uint8_t kFormatMask = 0x03;
constexpr std::size_t kLength = 3;

void put_header(LogPageCode code, ByteSpan out) {
  assert(out.size() >= kLogPageHeaderBytes);
  out[0] = static_cast<std::uint8_t>(code.page | (code.subpage != 0 ? kSubpageFormat : 0u));
  out[1] = code.subpage;
}

/// What follows the header, as far as it is there.
std::optional<ByteView> body_of(ByteView page) {
  if (page.size() < kLogPageHeaderBytes) return std::nullopt;
  return page.subspan(kLogPageHeaderBytes,
                      std::min<std::size_t>(page.size() - kLogPageHeaderBytes, get_be16(page, kPageLength)));
}

}  // namespace

std::uint64_t LogParameter::number() const {
  std::uint64_t result = 0;
  for (const std::uint8_t byte : value) result = result << 8 | byte;
  return result;
}

LogPageWriter::LogPageWriter(LogPageCode code, std::uint16_t first, ByteSpan out) : out_(out), first_(first) {
  put_header(code, out);
}

void LogPageWriter::add(std::uint16_t code, LogFormat format, ByteView value) {
  assert(value.size() <= UINT8_MAX);
  const std::size_t bytes = kLogParameterHeaderBytes + value.size();
  if (code < first_ || size_ + bytes > out_.size()) return;
  const ByteSpan parameter = out_.subspan(size_, bytes);
  put_be16(parameter, 0, code);
  parameter[kControl] = static_cast<std::uint8_t>(format);
  parameter[kLength] = static_cast<std::uint8_t>(value.size());
  std::ranges::copy(value, parameter.subspan(kLogParameterHeaderBytes).begin());
  size_ += bytes;
}

std::size_t LogPageWriter::finish() {
  put_be16(out_, kPageLength, static_cast<std::uint16_t>(size_ - kLogPageHeaderBytes));
  return size_;
}

std::size_t encode_supported_log_pages(std::span<const LogPageCode> codes, bool subpages, ByteSpan out) {
  put_header(subpages ? kSupportedLogSubpages : kSupportedLogPages, out);
  std::size_t size = kLogPageHeaderBytes;
  for (const LogPageCode code : codes) {
    if (!subpages && code.subpage != 0) continue;
    out[size++] = code.page;
    if (subpages) out[size++] = code.subpage;
  }
  put_be16(out, kPageLength, static_cast<std::uint16_t>(size - kLogPageHeaderBytes));
  return size;
}

std::optional<std::vector<LogPageCode>> decode_supported_log_pages(ByteView page) {
  const auto code = log_page_code(page);
  if (!code || (*code != kSupportedLogPages && *code != kSupportedLogSubpages)) return std::nullopt;
  const ByteView body = *body_of(page);
  const bool subpages = *code == kSupportedLogSubpages;
  const std::size_t width = subpages ? 2 : 1;
  std::vector<LogPageCode> codes;
  for (std::size_t at = 0; at + width <= body.size(); at += width) {
    codes.push_back({static_cast<std::uint8_t>(body[at] & kPageMask), subpages ? body[at + 1] : std::uint8_t{0}});
  }
  return codes;
}

std::optional<LogPageCode> log_page_code(ByteView page) {
  if (page.size() < kLogPageHeaderBytes) return std::nullopt;
  const bool subpage = (page[0] & kSubpageFormat) != 0;
  return LogPageCode{static_cast<std::uint8_t>(page[0] & kPageMask), subpage ? page[1] : std::uint8_t{0}};
}

std::optional<std::vector<LogParameter>> decode_log_parameters(ByteView page) {
  const auto body = body_of(page);
  if (!body) return std::nullopt;
  std::vector<LogParameter> parameters;
  for (ByteView rest = *body; rest.size() >= kLogParameterHeaderBytes;) {
    const std::size_t size = kLogParameterHeaderBytes + rest[kLength];
    if (size > rest.size()) break;
    parameters.push_back({get_be16(rest, 0), static_cast<LogFormat>(rest[kControl] & kFormatMask),
                          rest.subspan(kLogParameterHeaderBytes, rest[kLength])});
    rest = rest.subspan(size);
  }
  return parameters;
}

}  // namespace peerlane::scsi
