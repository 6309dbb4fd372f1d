// Text of Login and Text PDUs (RFC 7143 §6.1): key=value pairs, each ended by a NUL, which may be spread over the data
// segments of several PDUs with the C bit. What the keys mean is in iscsi/keys.h.
//
// Nothing here is on the path of commands. Views point into the bytes given and live as long as they do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"

namespace peerlane::iscsi {

struct KeyValue {
  std::string_view key;
  std::string_view value;

  bool operator==(const KeyValue&) const = default;
};

inline constexpr std::size_t kMaxKeyBytes = 63;           // RFC 7143 §6.1
inline constexpr std::size_t kMaxValueBytes = 8192;       // of any key; keys.h has the limit of each
inline constexpr std::size_t kMaxSimpleValueBytes = 255;  // of a key that allows no more

/// Splits a whole text into its pairs. A text may have more NULs than it needs (libiscsi counts its padding in
/// DataSegmentLength), and the NUL after the last pair may be missing.
///
/// Errors, EPROTO, with a sentence: a pair without '=', a key that is no key-name, a value longer than kMaxValueBytes,
/// more than `most` pairs.
Result<std::vector<KeyValue>> parse_text(ByteView text, std::size_t most = limits::kTextKeys);

/// The first key that occurs twice; empty if none does. Only TargetName and TargetAddress in an answer to SendTargets
/// may.
std::string_view duplicate_key(const std::vector<KeyValue>& pairs);

/// `text` as it may stand in a log line: cut at 223 bytes, and what is not printable ASCII replaced by '?'. Names come
/// from whoever can open a connection.
std::string printable(std::string_view text);

/// Gathers a text that comes in several PDUs.
class TextAssembler {
 public:
  /// A text of at most `limit` bytes.
  explicit TextAssembler(std::size_t limit = limits::kLoginTextBytes) : limit_(limit) {}

  /// Adds a data segment (RFC 7143 §6.1 lets even a pair be split). True if `more` is false: text() is then whole.
  /// Errors: EMSGSIZE, past the limit.
  Result<bool> add(ByteView segment, bool more);

  /// What was gathered. Valid until the next add() or clear().
  ByteView text() const { return as_bytes(text_); }
  bool empty() const { return text_.empty(); }
  void clear() { text_.clear(); }

 private:
  std::size_t limit_;
  std::string text_;
};

/// Collects the pairs of an answer or an offer, and gives them out in segments.
class TextWriter {
 public:
  /// Adds a pair. `key` and `value` have no NULs.
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, std::uint64_t value);
  /// Adds all pairs of `other`, of which nothing has been given out.
  void append(const TextWriter& other) { text_ += other.text_; }

  /// The bytes not given out yet.
  std::size_t size() const { return text_.size() - given_; }
  bool empty() const { return size() == 0; }

  /// The next segment, at most `most` bytes (at least 1). After it, empty() says whether the C bit is to be 0. Valid
  /// until the next add() or clear().
  ByteView next_segment(std::size_t most);

  void clear();

 private:
  std::string text_;
  std::size_t given_ = 0;
};

/// Values (RFC 7143 §6.1). Each gives nothing for a text that is not of its form.

/// numerical-value: decimal without leading zeroes, or 0x and hexadecimal digits; below 2^64.
std::optional<std::uint64_t> parse_number(std::string_view text);

/// boolean-value: Yes or No.
std::optional<bool> parse_boolean(std::string_view text);
constexpr std::string_view boolean_text(bool value) {
  return value ? "Yes" : "No";
}

struct NumberRange {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const NumberRange&) const = default;
};
/// numeric-range: two numbers with '~' between, the first not above the second.
std::optional<NumberRange> parse_range(std::string_view text);

/// list-of-values: the parts between commas; one empty part for an empty text.
std::vector<std::string_view> parse_list(std::string_view text);

/// large-binary-value, hexadecimal (0x) or Base64 (0b), into `out`: how many bytes it has. Nothing if it has none or
/// does not fit, too. An odd number of hexadecimal digits has a leading zero left out.
std::optional<std::size_t> decode_binary(std::string_view text, ByteSpan out);

std::string encode_hex(ByteView bytes);     // 0x...
std::string encode_base64(ByteView bytes);  // 0b...

}  // namespace peerlane::iscsi
