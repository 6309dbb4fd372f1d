#include "iscsi/text.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>

#include <fmt/format.h>

namespace peerlane::iscsi {
namespace {

constexpr bool is_letter(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// RFC 7143 §6.1 has a standard-label begin with a capital letter, but names keys that do not (iSCSIProtocolLevel). '#'
// is in the names of extension keys (X#NodeArchitecture).
bool is_key_name(std::string_view key) {
  static constexpr std::string_view kOther = ".-+@_#";
  if (key.empty() || key.size() > kMaxKeyBytes || !is_letter(key.front())) return false;
  return std::ranges::all_of(
      key, [](char c) { return is_letter(c) || is_digit(c) || kOther.find(c) != std::string_view::npos; });
}

bool has_prefix(std::string_view text, char letter) {
  return text.size() >= 2 && text[0] == '0' && (text[1] == letter || text[1] == letter - 'a' + 'A');
}

constexpr std::string_view kHexDigits = "0123456789abcdef";

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::size_t> decode_hex(std::string_view digits, ByteSpan out) {
  const std::size_t size = (digits.size() + 1) / 2;
  if (digits.empty() || size > out.size()) return std::nullopt;
  std::size_t at = digits.size() % 2;  // which half of its byte the next digit is: 1 is the lower one
  std::ranges::fill(out.first(size), std::uint8_t{0});
  for (const char c : digits) {
    const int value = hex_value(c);
    if (value < 0) return std::nullopt;
    out[at / 2] = static_cast<std::uint8_t>(out[at / 2] << 4 | value);
    ++at;
  }
  return size;
}

constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Base64 (RFC 4648 §4) in groups of four digits; only the last group may be padded, with bits that are zero.
std::optional<std::size_t> decode_base64(std::string_view digits, ByteSpan out) {
  if (digits.empty() || digits.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && digits[digits.size() - 1 - padding] == '=') ++padding;
  const std::size_t size = digits.size() / 4 * 3 - padding;
  if (size > out.size()) return std::nullopt;
  digits.remove_suffix(padding);

  std::uint32_t bits = 0;
  unsigned count = 0;
  std::size_t at = 0;
  for (const char c : digits) {
    const std::size_t value = kBase64Digits.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out[at++] = static_cast<std::uint8_t>(bits >> count);
      bits &= (1u << count) - 1;
    }
  }
  if (bits != 0) return std::nullopt;
  return size;
}

}  // namespace

Result<std::vector<KeyValue>> parse_text(ByteView text, std::size_t most) {
  std::vector<KeyValue> pairs;
  std::string_view rest = as_text(text);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    if (pair.empty()) continue;
    if (pairs.size() == most) {
      return fail(EPROTO, fmt::format("the text has more than {} keys", most));
    }
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return fail(EPROTO, fmt::format("no '=' in \"{}\"", printable(pair)));
    const KeyValue found{pair.substr(0, equals), pair.substr(equals + 1)};
    if (!is_key_name(found.key)) return fail(EPROTO, fmt::format("\"{}\" is no key name", printable(found.key)));
    if (found.value.size() > kMaxValueBytes) {
      return fail(EPROTO, fmt::format("the value of {} is longer than {} bytes", found.key, kMaxValueBytes));
    }
    pairs.push_back(found);
  }
  return pairs;
}

std::string_view duplicate_key(const std::vector<KeyValue>& pairs) {
  std::vector<std::string_view> keys;
  keys.reserve(pairs.size());
  for (const KeyValue& pair : pairs) keys.push_back(pair.key);
  std::ranges::sort(keys);
  const auto twice = std::ranges::adjacent_find(keys);
  return twice == keys.end() ? std::string_view{} : *twice;
}

std::string printable(std::string_view text) {
  constexpr std::size_t kMost = 223;
  std::string out(text.substr(0, kMost));
  std::ranges::replace_if(out, [](char c) { return c < ' ' || c > '~'; }, '?');
  if (text.size() > kMost) out += "...";
  return out;
}

Result<bool> TextAssembler::add(ByteView segment, bool more) {
  if (segment.size() > limit_ - text_.size()) {
    return fail(EMSGSIZE, fmt::format("the text is longer than {} bytes", limit_));
  }
  text_ += as_text(segment);
  return !more;
}

void TextWriter::add(std::string_view key, std::string_view value) {
  assert(key.find('\0') == std::string_view::npos && value.find('\0') == std::string_view::npos);
  text_.append(key).append(1, '=').append(value).append(1, '\0');
}

void TextWriter::add(std::string_view key, std::uint64_t value) {
  add(key, fmt::format_int(value).c_str());
}

ByteView TextWriter::next_segment(std::size_t most) {
  assert(most >= 1);
  const std::string_view segment = std::string_view(text_).substr(given_, most);
  given_ += segment.size();
  return as_bytes(segment);
}

void TextWriter::clear() {
  text_.clear();
  given_ = 0;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  int base = 10;
  if (has_prefix(text, 'x')) {
    text.remove_prefix(2);
    base = 16;
  } else if (text.size() > 1 && text.front() == '0') {
    return std::nullopt;
  }
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value, base);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

std::optional<bool> parse_boolean(std::string_view text) {
  if (text == "Yes") return true;
  if (text == "No") return false;
  return std::nullopt;
}

std::optional<NumberRange> parse_range(std::string_view text) {
  const std::size_t tilde = text.find('~');
  if (tilde == std::string_view::npos) return std::nullopt;
  const auto low = parse_number(text.substr(0, tilde));
  const auto high = parse_number(text.substr(tilde + 1));
  if (!low || !high || *low > *high) return std::nullopt;
  return NumberRange{*low, *high};
}

std::vector<std::string_view> parse_list(std::string_view text) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t comma = text.find(',');
    parts.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    text.remove_prefix(comma + 1);
  }
}

std::optional<std::size_t> decode_binary(std::string_view text, ByteSpan out) {
  if (has_prefix(text, 'x')) return decode_hex(text.substr(2), out);
  if (has_prefix(text, 'b')) return decode_base64(text.substr(2), out);
  return std::nullopt;
}

std::string encode_hex(ByteView bytes) {
  std::string out = "0x";
  for (const std::uint8_t byte : bytes) {
    out += kHexDigits[byte >> 4];
    out += kHexDigits[byte & 15];
  }
  return out;
}

std::string encode_base64(ByteView bytes) {
  std::string out = "0b";
  while (!bytes.empty()) {
    const std::size_t count = std::min<std::size_t>(bytes.size(), 3);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < 3; ++i) bits = bits << 8 | (i < count ? bytes[i] : 0u);
    for (std::size_t i = 0; i < 4; ++i) out += i <= count ? kBase64Digits[bits >> (18 - 6 * i) & 63] : '=';
    bytes = bytes.subspan(count);
  }
  return out;
}

}  // namespace peerlane::iscsi
