#include "iscsi/name.h"

#include <algorithm>
#include <cstdint>

#include <fmt/format.h>

#include "iscsi/text.h"

namespace peerlane::iscsi {
namespace {

constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr bool is_hex_digit(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f');
}
constexpr bool is_ascii(char c) {
  return static_cast<unsigned char>(c) < 0x80;
}
constexpr bool is_name_ascii(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == ':' || c == '_';
}
constexpr char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// How many bytes the UTF-8 character at the start of `text` has; 0: it is not well-formed (Unicode 15, table 3-7), or
// one of the control characters after ASCII, which a terminal that shows the log might obey.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0};
  };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) {
    const bool control = first == 0xc2 && byte(1) < 0xa0;
    return !control && follows(1) ? 2 : 0;
  }
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) > 0x9f;
    return !overlong && !surrogate && follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool too_high = first == 0xf4 && byte(1) > 0x8f;
    return !overlong && !too_high && follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

bool has_only_name_characters(std::string_view name) {
  while (!name.empty()) {
    const std::size_t length = utf8_length(name);
    if (length == 0 || (is_ascii(name.front()) && !is_name_ascii(name.front()))) return false;
    name.remove_prefix(length);
  }
  return true;
}

bool is_hex(std::string_view rest) {
  return std::ranges::all_of(rest, is_hex_digit);
}

bool has_form(std::string_view name) {
  const std::string_view rest = name.substr(std::min<std::size_t>(4, name.size()));
  if (name.starts_with("iqn.")) return !rest.empty() && has_only_name_characters(rest);
  if (name.starts_with("eui.")) return rest.size() == 16 && is_hex(rest);
  if (name.starts_with("naa.")) return (rest.size() == 16 || rest.size() == 32) && is_hex(rest);
  return false;
}

}  // namespace

Result<std::string> normalise_name(std::string_view name) {
  std::string normal(name.substr(0, kMaxNameBytes + 1));
  std::ranges::transform(normal, normal.begin(), lower);
  if (normal.size() > kMaxNameBytes) {
    return fail(EINVAL, fmt::format("an iSCSI name has at most {} bytes; this one has {}", kMaxNameBytes, name.size()));
  }
  if (!has_form(normal)) {
    return fail(EINVAL,
                fmt::format("\"{}\" is no iSCSI name; one looks like iqn.2004-10.org.example:disk, eui. and 16 "
                            "hexadecimal digits, or naa. and 16 or 32; letters, digits, '-', '.', ':' are allowed",
                            printable(name)));
  }
  return normal;
}

}  // namespace peerlane::iscsi
