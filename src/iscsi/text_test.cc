#include "iscsi/text.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::iscsi {
namespace {

using namespace std::string_view_literals;
using Pairs = std::vector<KeyValue>;

Result<Pairs> parse(std::string_view text) {
  return parse_text(as_bytes(text));
}

TEST(Text, SplitsPairsAtNuls) {
  EXPECT_EQ(parse("").value(), Pairs{});
  EXPECT_EQ(parse("SendTargets=All\0"sv).value(), (Pairs{{"SendTargets", "All"}}));
  EXPECT_EQ(parse("A=\0B=x=y\0"sv).value(), (Pairs{{"A", ""}, {"B", "x=y"}}));
  EXPECT_EQ(parse("iSCSIProtocolLevel=2\0X-org.example.Key=1\0X#Node=a,b\0"sv).value().size(), 3u);
}

// libiscsi counts its padding in DataSegmentLength; others leave out the last NUL.
TEST(Text, TakesNulsTooManyAndOneTooFew) {
  EXPECT_EQ(parse("\0A=1\0\0\0B=2\0\0\0\0"sv).value(), (Pairs{{"A", "1"}, {"B", "2"}}));
  EXPECT_EQ(parse("A=1\0B=2"sv).value(), (Pairs{{"A", "1"}, {"B", "2"}}));
  EXPECT_EQ(parse("\0\0\0"sv).value(), Pairs{});
}

TEST(Text, RefusesWhatIsNoPair) {
  EXPECT_FALSE(parse("A\0"sv));
  EXPECT_FALSE(parse("=1\0"sv));
  EXPECT_FALSE(parse("A B=1\0"sv));
  EXPECT_FALSE(parse("1A=1\0"sv));
  EXPECT_FALSE(parse("A\x80=1\0"sv));
  EXPECT_TRUE(parse(std::string(63, 'K') + "=1"));
  EXPECT_FALSE(parse(std::string(64, 'K') + "=1"));
  EXPECT_TRUE(parse("A=" + std::string(kMaxValueBytes, 'v')));
  EXPECT_FALSE(parse("A=" + std::string(kMaxValueBytes + 1, 'v')));
}

TEST(Text, LimitsTheNumberOfKeys) {
  std::string text;
  for (unsigned i = 0; i < limits::kTextKeys; ++i) text += "K" + std::to_string(i) + "=" + '\0';
  EXPECT_TRUE(parse(text));
  EXPECT_FALSE(parse(text + "One=1"));
}

TEST(Text, ErrorsShowWhatCameWithoutControlCharacters) {
  const auto result = parse("\x1b[2Jevil\nline\0"sv);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message.find('\x1b'), std::string::npos);
  EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
  EXPECT_EQ(printable("a\x07\xc3\xa4z"), "a???z");
  EXPECT_EQ(printable(std::string(300, 'x')).size(), 226u);
}

TEST(Text, FindsAKeyThatOccursTwice) {
  EXPECT_EQ(duplicate_key({{"A", "1"}, {"B", "1"}, {"a", "1"}}), "");
  EXPECT_EQ(duplicate_key({{"A", "1"}, {"B", "1"}, {"A", "2"}}), "A");
}

TEST(TextAssembler, JoinsAPairThatWasSplit) {
  TextAssembler assembler;
  EXPECT_FALSE(assembler.add(as_bytes("Head"), true).value());
  EXPECT_FALSE(assembler.add(as_bytes("erDigest=No"), true).value());
  EXPECT_TRUE(assembler.add(as_bytes("ne\0"sv), false).value());
  EXPECT_EQ(parse_text(assembler.text()).value(), (Pairs{{"HeaderDigest", "None"}}));
  assembler.clear();
  EXPECT_TRUE(assembler.empty());
}

TEST(TextAssembler, StopsAtItsLimit) {
  TextAssembler assembler(10);
  EXPECT_TRUE(assembler.add(as_bytes("0123456"), true));
  EXPECT_FALSE(assembler.add(as_bytes("7890"), false));
  EXPECT_TRUE(assembler.add(as_bytes("789"), false));
  EXPECT_EQ(assembler.add(as_bytes("x"), false).error().code, EMSGSIZE);
}

TEST(TextWriter, GivesSegmentsOfTheSizeAskedFor) {
  TextWriter writer;
  writer.add("A", "1");
  writer.add("Number", 262144);
  EXPECT_EQ(writer.size(), 4u + 14u);
  std::string all;
  std::size_t segments = 0;
  while (!writer.empty()) {
    const auto segment = writer.next_segment(5);
    EXPECT_LE(segment.size(), 5u);
    all += as_text(segment);
    ++segments;
  }
  EXPECT_EQ(segments, 4u);
  EXPECT_EQ(all, "A=1\0Number=262144\0"sv);
  EXPECT_TRUE(writer.next_segment(5).empty());
}

TEST(Value, Numbers) {
  EXPECT_EQ(parse_number("0"), 0u);
  EXPECT_EQ(parse_number("16777215"), 16777215u);
  EXPECT_EQ(parse_number("0xfF"), 255u);
  EXPECT_EQ(parse_number("0X10"), 16u);
  EXPECT_EQ(parse_number("18446744073709551615"), UINT64_MAX);
  for (const char* text :
       {"", " 1", "1 ", "+1", "-1", "0x", "0xg", "1a", "01", "1.0", "18446744073709551616", "0x-1"}) {
    EXPECT_EQ(parse_number(text), std::nullopt) << text;
  }
}

TEST(Value, BooleansRangesAndLists) {
  EXPECT_EQ(parse_boolean("Yes"), true);
  EXPECT_EQ(parse_boolean("No"), false);
  EXPECT_EQ(parse_boolean("yes"), std::nullopt);
  EXPECT_EQ(parse_range("2048~0x1000"), (NumberRange{2048, 4096}));
  EXPECT_EQ(parse_range("5~5"), (NumberRange{5, 5}));
  for (const char* text : {"5", "~", "5~", "6~5", "1~2~3"}) EXPECT_EQ(parse_range(text), std::nullopt) << text;
  EXPECT_EQ(parse_list("CRC32C,None"), (std::vector{"CRC32C"sv, "None"sv}));
  EXPECT_EQ(parse_list(""), (std::vector{""sv}));
  EXPECT_EQ(parse_list(",a,"), (std::vector{""sv, "a"sv, ""sv}));
}

std::optional<std::string> decoded(std::string_view text, std::size_t room = 16) {
  std::array<std::uint8_t, 16> out{};
  const auto size = decode_binary(text, ByteSpan(out).first(room));
  if (!size) return std::nullopt;
  return std::string(as_text(ByteView(out).first(*size)));
}

TEST(Value, BinaryInHexadecimal) {
  EXPECT_EQ(decoded("0x00ff7A"), "\x00\xff\x7a"sv);
  EXPECT_EQ(decoded("0X41"), "A");
  EXPECT_EQ(decoded("0x141"),
            "\x01"
            "A");
  EXPECT_EQ(decoded("0x4142", 2), "AB");
  EXPECT_EQ(decoded("0x414243", 2), std::nullopt);
  for (const char* text : {"", "0x", "41", "0x4g", "x41", "0y41"}) EXPECT_EQ(decoded(text), std::nullopt) << text;
  EXPECT_EQ(encode_hex(as_bytes("\x00\x9f"sv)), "0x009f");
}

// RFC 4648 §10.
TEST(Value, BinaryInBase64) {
  const std::vector<std::pair<std::string_view, std::string_view>> vectors{
      {"f", "0bZg=="}, {"fo", "0bZm8="}, {"foo", "0bZm9v"}, {"foob", "0bZm9vYg=="}, {"foobar", "0bZm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(encode_base64(as_bytes(bytes)), text);
    EXPECT_EQ(decoded(text), bytes);
  }
  for (const char* text : {"0b", "0bZg", "0bZg=", "0bZh==", "0bZm9=", "0b====", "0bZ===", "0bZg==Zg==", "0bZm 9v"}) {
    EXPECT_EQ(decoded(text), std::nullopt) << text;
  }
  EXPECT_EQ(decoded("0bZm9v", 3), "foo");
  EXPECT_EQ(decoded("0bZm9v", 2), std::nullopt);
}

}  // namespace
}  // namespace peerlane::iscsi
