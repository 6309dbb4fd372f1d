#include "scsi/token_parameters.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"
#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

constexpr TokenLimits kLimits{.max_ranges = 4, .max_inactivity = 600, .max_blocks = 0x10000};

// As ddpt lays it down for "rtype=pit-vuln" and an inactivity timeout of one minute, with two ranges.
const auto kPopulate = bytes(
    "00 2e 02 00 00 00 00 3c 00 80 00 01 00 00 00 20"
    "00 00 00 00 00 00 00 10 00 00 00 08 00 00 00 00"
    "12 34 56 78 9a bc de f0 00 00 00 01 00 00 00 00");

PopulateTokenParameters populate() {
  return {.type = RodType::kPointInTimeVulnerable,
          .inactivity_timeout = 60,
          .ranges = {{{0x10}, {8}}, {{0x123456789abcdef0}, {1}}}};
}

WriteUsingTokenParameters write() {
  return {.immediate = true,
          .delete_token = true,
          .offset = 0x0102030405060708,
          .token = block_zero_rod_token(),
          .ranges = {{{0x10}, {8}}}};
}

template <typename Decoded>
void expect_error(const Decoded& decoded, SenseCode code, std::optional<std::size_t> byte) {
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().key, SenseKey::kIllegalRequest);
  EXPECT_EQ(decoded.error().code, code);
  ASSERT_EQ(decoded.error().field.has_value(), byte.has_value());
  if (byte) {
    EXPECT_FALSE(decoded.error().field->in_cdb);
    EXPECT_EQ(decoded.error().field->byte, *byte);
  }
}

TEST(TokenParameters, PopulateTokenEncodesAsDdptDoesAndReadsBack) {
  EXPECT_EQ(encode_populate_token(populate()), kPopulate);
  EXPECT_EQ(decode_populate_token(kPopulate, kLimits), populate());
  PopulateTokenParameters plain{.immediate = true, .ranges = {{{0}, {1}}}};
  EXPECT_EQ(encode_populate_token(plain),
            bytes("00 1e 01 00 00 00 00 00 00 00 00 00 00 00 00 10 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00"));
  EXPECT_EQ(decode_populate_token(encode_populate_token(plain), kLimits), plain);
}

TEST(TokenParameters, WriteUsingTokenEncodesAsDdptDoesAndReadsBack) {
  const auto list = encode_write_using_token(write());
  ASSERT_EQ(list.size(), 552u);
  const std::vector<std::uint8_t> head(list.begin(), list.begin() + 24);
  EXPECT_EQ(head, bytes("02 26 03 00 00 00 00 00 01 02 03 04 05 06 07 08 ff ff 00 01 00 00 01 f8"));
  const std::vector<std::uint8_t> tail(list.end() - 24, list.end());
  EXPECT_EQ(tail, bytes("00 00 00 00 00 00 00 10 00 00 00 00 00 00 00 10 00 00 00 08 00 00 00 00"));
  EXPECT_EQ(decode_write_using_token(list, kLimits), write());
}

TEST(TokenParameters, EveryTruncationIsALengthError) {
  const auto cut = [](const std::vector<std::uint8_t>& whole, std::size_t size) {
    return std::vector<std::uint8_t>(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
  };
  for (std::size_t size = 0; size < kPopulate.size(); ++size) {
    expect_error(decode_populate_token(cut(kPopulate, size), kLimits), sense_codes::kParameterListLengthError, {});
  }
  const auto list = encode_write_using_token(write());
  for (std::size_t size = 0; size < list.size(); ++size) {
    expect_error(decode_write_using_token(cut(list, size), kLimits), sense_codes::kParameterListLengthError, {});
  }
}

TEST(TokenParameters, LengthsThatContradictEachOther) {
  auto list = kPopulate;
  list[1] = 0x1d;  // no room for one range
  expect_error(decode_populate_token(list, kLimits), sense_codes::kInvalidFieldInParameterList, 0);
  list[1] = 0x2d;  // the ranges' length promises more
  expect_error(decode_populate_token(list, kLimits), sense_codes::kInvalidFieldInParameterList, 14);
  list = kPopulate;
  list[15] = 0x0f;
  expect_error(decode_populate_token(list, kLimits), sense_codes::kInvalidFieldInParameterList, 14);
  list[15] = 0x1f;  // the last range is incomplete
  EXPECT_EQ(decode_populate_token(list, kLimits)->ranges.size(), 1u);
  list[14] = 0xff;
  expect_error(decode_populate_token(list, kLimits), sense_codes::kInvalidFieldInParameterList, 14);
  list[0] = 0xff;
  expect_error(decode_populate_token(list, kLimits), sense_codes::kParameterListLengthError, {});
  auto write_list = encode_write_using_token(write());
  write_list[535] = 0x0f;
  expect_error(decode_write_using_token(write_list, kLimits), sense_codes::kInvalidFieldInParameterList, 534);
}

TEST(TokenParameters, AreHeldToTheLimits) {
  PopulateTokenParameters parameters{.ranges = {{{0}, {1}}, {{1}, {1}}, {{2}, {1}}, {{3}, {1}}}};
  EXPECT_TRUE(decode_populate_token(encode_populate_token(parameters), kLimits));
  parameters.ranges.push_back({{4}, {1}});
  expect_error(decode_populate_token(encode_populate_token(parameters), kLimits),
               sense_codes::kTooManySegmentDescriptors, {});
  EXPECT_TRUE(decode_populate_token(encode_populate_token(parameters), {}));

  parameters.ranges = {{{0}, {0xffff}}, {{0x20000}, {1}}};
  EXPECT_TRUE(decode_populate_token(encode_populate_token(parameters), kLimits));
  ++parameters.ranges[1].count.value;
  expect_error(decode_populate_token(encode_populate_token(parameters), kLimits),
               sense_codes::kInvalidFieldInParameterList, 16);
  WriteUsingTokenParameters much = write();
  much.ranges = parameters.ranges;
  expect_error(decode_write_using_token(encode_write_using_token(much), kLimits),
               sense_codes::kInvalidFieldInParameterList, 536);

  parameters = populate();
  parameters.inactivity_timeout = 600;
  EXPECT_TRUE(decode_populate_token(encode_populate_token(parameters), kLimits));
  parameters.inactivity_timeout = 601;
  expect_error(decode_populate_token(encode_populate_token(parameters), kLimits),
               sense_codes::kInvalidFieldInParameterList, 4);
}

TEST(TokenParameters, RangesMustNotOverlap) {
  const auto refused = [](std::vector<BlockRange> ranges) {
    return !decode_populate_token(encode_populate_token({.ranges = std::move(ranges)}), {}).has_value();
  };
  EXPECT_FALSE(refused({{{10}, {10}}, {{0}, {10}}, {{20}, {1}}}));
  EXPECT_TRUE(refused({{{10}, {10}}, {{0}, {11}}}));
  EXPECT_TRUE(refused({{{0}, {100}}, {{200}, {1}}, {{50}, {1}}}));
  EXPECT_TRUE(refused({{{7}, {1}}, {{7}, {1}}}));
  EXPECT_FALSE(refused({{{7}, {1}}, {{7}, {0}}, {{0}, {0}}}));  // those that name nothing
  EXPECT_TRUE(refused({{{UINT64_MAX}, {0xffffffff}}, {{UINT64_MAX}, {1}}}));
  EXPECT_FALSE(refused({{{UINT64_MAX}, {1}}, {{UINT64_MAX - 1}, {1}}}));
}

TEST(TokenParameters, AnyBytesAreReadWithinTheirBounds) {
  std::mt19937 random(5);
  const auto write_list = encode_write_using_token(write());
  for (unsigned round = 0; round < 20000; ++round) {
    auto list = round % 2 == 0 ? kPopulate : write_list;
    if (random() % 4 == 0) list.resize(random() % (list.size() + 32));
    for (unsigned damage = random() % 4; damage > 0 && !list.empty(); --damage) {
      list[random() % list.size()] = static_cast<std::uint8_t>(random());
    }
    if (const auto decoded = decode_populate_token(list, kLimits)) {
      EXPECT_EQ(decode_populate_token(encode_populate_token(*decoded), kLimits), *decoded);
    }
    if (const auto decoded = decode_write_using_token(list, kLimits)) {
      EXPECT_EQ(decode_write_using_token(encode_write_using_token(*decoded), kLimits), *decoded);
    }
  }
}

}  // namespace
}  // namespace peerlane::scsi
