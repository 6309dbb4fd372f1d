#include "scsi/third_party_copy_page.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

/// What FreeBSD's target says.
ThirdPartyCopyPage freebsd() {
  return {.token_limits = TokenLimits{.max_ranges = 64, .max_inactivity = 600, .default_inactivity = 60},
          .commands = {{0x83, {0x00, 0x01, 0x10, 0x11, 0x1c}}, {0x84, {0x00, 0x04, 0x05, 0x03, 0x07, 0x08}}},
          .parameters = CopyParameterLimits{.max_cscds = 64, .max_segments = 64, .max_descriptor_bytes = 8192},
          .descriptor_types = {0x02, 0x07, 0x14, 0xe4},
          .cscd_ids = {0xffff},
          .token_features = RodTokenFeatures{.min_lifetime = 1,
                                             .max_lifetime = 0xffffffff,
                                             .max_inactivity = 600,
                                             .optimal_bytes_to_token = 0xffffffffffffffff,
                                             .optimal_bytes_from_token = 16u << 20},
          .rods = {{.type = RodType::kAccessUponReference, .token_in = true, .token_out = true},
                   {.type = RodType::kBlockZero, .token_in = true}},
          .general = GeneralCopyOperations{.total_copies = 255, .identified_copies = 255}};
}

const auto kFreeBsdStart = bytes(
    "00 8f 01 78"
    "00 00 00 20 00 00 00 00 00 00 00 40 00 00 02 58 00 00 00 3c 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    "00 01 00 10 0f 83 05 00 01 10 11 1c 84 06 00 04 05 03 07 08"
    "00 04 00 1c 00 00 00 00 00 40 00 40 00 00 20 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    "00 08 00 08 04 02 07 14 e4 00 00 00"
    "00 0c 00 04 00 02 ff ff"
    "01 06 00 5c 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 ff ff ff ff 00 00 02 58 00 00 00 00"
    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 30"
    "00 00 00 2c 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff"
    "00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00"
    "01 08 00 84 00 00 00 80 00 01 00 00 03 00 00 00");
const auto kFreeBsdEnd = bytes(
    "80 01 00 20 00 00 00 ff 00 00 00 ff 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");

// The page that sg3_utils has as its example (inhex/vpd_tpc.hex), with a descriptor of the copy group at its end.
const auto kSg3Utils = bytes(
    "00 8f 00 8c"
    "00 00 00 20 00 00 00 00 00 00 01 23 00 00 00 3c 00 00 00 1e 00 00 00 99 88 77 66 55 00 00 00 44 55 66 77 88"
    "00 01 00 10 0d 00 00 03 00 12 00 83 02 10 11 84 01 07 00 00"
    "00 04 00 1c 00 00 00 00 00 1c 00 40 00 01 22 33 00 99 88 77 00 00 00 00 00 00 00 00 00 00 00 00"
    "00 08 00 04 02 02 e9 00"
    "00 0c 00 0c 00 08 00 00 00 01 c0 00 ff ff 00 00"
    "00 0d 00 14 12 10 00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee fe dc 00");

std::vector<std::uint8_t> encode(const ThirdPartyCopyPage& page) {
  std::vector<std::uint8_t> out(kMaxVpdBytes, 0xee);
  out.resize(encode_third_party_copy({}, page, out));
  return out;
}

TEST(ThirdPartyCopyPage, EncodesAsFreeBsdDoesAndReadsBack) {
  const auto encoded = encode(freebsd());
  ASSERT_GT(encoded.size(), kFreeBsdStart.size() + kFreeBsdEnd.size());
  EXPECT_EQ(
      std::vector<std::uint8_t>(encoded.begin(), encoded.begin() + static_cast<std::ptrdiff_t>(kFreeBsdStart.size())),
      kFreeBsdStart);
  EXPECT_EQ(std::vector<std::uint8_t>(encoded.end() - static_cast<std::ptrdiff_t>(kFreeBsdEnd.size()), encoded.end()),
            kFreeBsdEnd);
  EXPECT_EQ(get_be16(encoded, 2), encoded.size() - 4);
  EXPECT_EQ(decode_third_party_copy(encoded), freebsd());
}

TEST(ThirdPartyCopyPage, ReadsTheExampleOfSg3Utils) {
  const auto page = decode_third_party_copy(kSg3Utils);
  ASSERT_TRUE(page);
  const ThirdPartyCopyPage expected{
      .token_limits = TokenLimits{.max_ranges = 0x123,
                                  .max_inactivity = 60,
                                  .default_inactivity = 30,
                                  .max_blocks = 0x9988776655,
                                  .optimal_blocks = 0x4455667788},
      .commands = {{0x00, {}}, {0x03, {}}, {0x12, {}}, {0x83, {0x10, 0x11}}, {0x84, {0x07}}},
      .parameters = CopyParameterLimits{.max_cscds = 0x1c,
                                        .max_segments = 0x40,
                                        .max_descriptor_bytes = 0x00012233,
                                        .max_inline_bytes = 0x00998877},
      .descriptor_types = {0x02, 0xe9},
      .cscd_ids = {0x0000, 0x0001, 0xc000, 0xffff}};
  EXPECT_EQ(*page, expected);
  EXPECT_TRUE(page->supports(0x83, 0x11));
  EXPECT_FALSE(page->supports(0x83, 0x00));
  EXPECT_FALSE(page->supports(0x00, 0x00));
  // All but that last descriptor is written as it was.
  auto encoded = encode(*page);
  EXPECT_EQ(std::vector<std::uint8_t>(encoded.begin() + 4, encoded.end()),
            std::vector<std::uint8_t>(kSg3Utils.begin() + 4, kSg3Utils.end() - 24));
}

TEST(ThirdPartyCopyPage, AllFieldsReadBack) {
  ThirdPartyCopyPage page = freebsd();
  page.token_features = RodTokenFeatures{.remote_tokens = 4,
                                         .min_lifetime = 2,
                                         .max_lifetime = 3,
                                         .max_inactivity = 4,
                                         .optimal_granularity = 5,
                                         .max_bytes = 6,
                                         .optimal_bytes = 7,
                                         .optimal_bytes_to_token = 8,
                                         .optimal_bytes_from_token = 9};
  page.rods.push_back({.type = RodType::kPointInTimePersistent, .internal = true, .preference = 0x8000});
  page.general = GeneralCopyOperations{.total_copies = 1,
                                       .identified_copies = 2,
                                       .max_segment_bytes = 3,
                                       .data_granularity = 9,
                                       .inline_granularity = 2};
  page.held_data = HeldDataLimits{.limit = 4096, .granularity = 9};
  page.parameters->max_inline_bytes = 77;
  EXPECT_EQ(decode_third_party_copy(encode(page)), page);
  EXPECT_EQ(decode_third_party_copy(encode({})), ThirdPartyCopyPage{});
}

TEST(ThirdPartyCopyPage, WhatDoesNotFitIsLeftOut) {
  ThirdPartyCopyPage page = freebsd();
  page.rods.resize(100);
  page.descriptor_types.resize(300, 0x02);
  page.commands.resize(100, page.commands[0]);
  const auto encoded = encode(page);
  EXPECT_LE(encoded.size(), kMaxVpdBytes);
  EXPECT_EQ(encoded.size() % 4, 0u);
  const auto decoded = decode_third_party_copy(encoded);
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->rods.empty());
  EXPECT_EQ(decoded->general, page.general);
  EXPECT_EQ(decoded->descriptor_types.size(), 255u);
  EXPECT_GT(decoded->commands.size(), 30u);
}

TEST(ThirdPartyCopyPage, FeaturesOfOtherDevicesAreNotThoseOfDisks) {
  ThirdPartyCopyPage page{.token_features = RodTokenFeatures{.min_lifetime = 1, .max_bytes = 6}};
  auto encoded = encode(page);
  encoded[4 + 48] = 0x01;  // a stream device
  const auto decoded = decode_third_party_copy(encoded);
  EXPECT_EQ(decoded->token_features->min_lifetime, 1u);
  EXPECT_EQ(decoded->token_features->max_bytes, 0u);

  // One of these first, then that of disks.
  auto both = encode(page);
  both.insert(both.begin() + 4 + 48, {0x01, 0, 0, 4, 0xff, 0xff, 0xff, 0xff});
  both[3] += 8;
  both[4 + 3] += 8;
  both[4 + 47] += 8;
  EXPECT_EQ(decode_third_party_copy(both), page);
}

TEST(ThirdPartyCopyPage, TruncationsLoseDescriptorsOnly) {
  const auto whole = encode(freebsd());
  EXPECT_FALSE(decode_third_party_copy(std::vector<std::uint8_t>{0, 0x83, 0, 0}));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto decoded = decode_third_party_copy(part);
    ASSERT_EQ(decoded.has_value(), size >= 4);
    if (!decoded) continue;
    EXPECT_EQ(decoded->token_limits.has_value(), size >= 40);
    EXPECT_FALSE(decoded->general);
  }
}

TEST(ThirdPartyCopyPage, AnyBytesAreReadWithinTheirBounds) {
  std::mt19937 random(7);
  const auto whole = encode(freebsd());
  for (unsigned round = 0; round < 20000; ++round) {
    auto page = whole;
    if (random() % 4 == 0) page.resize(4 + random() % (whole.size() - 3));
    for (unsigned damage = random() % 8; damage > 0; --damage) {
      page[2 + random() % (page.size() - 2)] = static_cast<std::uint8_t>(random());
    }
    if (const auto decoded = decode_third_party_copy(page)) encode(*decoded);
  }
}

}  // namespace
}  // namespace peerlane::scsi
