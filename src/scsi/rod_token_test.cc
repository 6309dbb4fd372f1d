#include "scsi/rod_token.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

RodToken example() {
  RodToken token{.type = RodType::kPointInTimeVulnerable,
                 .identifier = 0x0102030405060708,
                 .creator = Cscd{.unit = naa_designator(0x39095312220551eb), .block_length = 512},
                 .bytes = 0x100000,
                 .block_length = 512,
                 .physical_exponent = 3,
                 .lowest_aligned = 7,
                 .thin = true,
                 .reads_zeroes = true,
                 .target_device = scsi_name_designator(Association::kTargetDevice, "iqn.2004-10.org.example:x")};
  for (std::size_t i = 0; i < token.tail.size(); ++i) token.tail[i] = static_cast<std::uint8_t>(i);
  return token;
}

// The places are those where FreeBSD's copy manager and QNAP's put them.
TEST(RodToken, IsLaidOutAsOthersDoAndReadsBack) {
  const RodTokenBytes token = encode_rod_token(example());
  const std::vector<std::uint8_t> head(token.begin(), token.begin() + 168);
  EXPECT_EQ(head,
            bytes("00 80 00 01 00 00 01 f8 01 02 03 04 05 06 07 08"
                  "e4 00 00 00 01 03 00 08 39 09 53 12 22 05 51 eb 00 00 00 00 00 00 00 00 00 00 00 00 00 00 02 00"
                  "00 00 00 00 00 00 00 00 00 00 00 00 00 10 00 00"
                  "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
                  "00 00 02 00 00 03 c0 07 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
                  "53 a8 00 1c 69 71 6e 2e 32 30 30 34 2d 31 30 2e 6f 72 67 2e 65 78 61 6d 70 6c 65 3a 78 00 00 00"
                  "00 00 00 00 00 00 00 00"));
  EXPECT_EQ(token[256], 0);
  EXPECT_EQ(token[511], 255);
  EXPECT_EQ(decode_rod_token(token), example());
  EXPECT_EQ(rod_type(token), RodType::kPointInTimeVulnerable);
}

TEST(RodToken, WithoutCreatorAndTarget) {
  const RodToken bare{.bytes = 5};
  EXPECT_EQ(decode_rod_token(encode_rod_token(bare)), bare);
  RodToken odd = bare;
  odd.creator = Cscd{.unit = RemoteLun{.target = {.ipv6 = true}}};
  odd.target_device = scsi_name_designator(Association::kTargetDevice, std::string(130, 'x'));
  EXPECT_EQ(decode_rod_token(encode_rod_token(odd)), bare);
}

TEST(RodToken, BlockZeroIsAsInTheStandard) {
  const RodTokenBytes token = block_zero_rod_token();
  EXPECT_EQ(std::vector<std::uint8_t>(token.begin(), token.begin() + 8), bytes("ff ff 00 01 00 00 01 f8"));
  EXPECT_TRUE(std::all_of(token.begin() + 8, token.end(), [](std::uint8_t byte) { return byte == 0; }));
  EXPECT_EQ(rod_type(token), RodType::kBlockZero);
  EXPECT_EQ(rod_token_length(token), kRodTokenBytes);
}

TEST(RodToken, WhatIsNoTokenOfThisKindIsNone) {
  EXPECT_FALSE(decode_rod_token(block_zero_rod_token()));
  const RodTokenBytes good = encode_rod_token(example());
  EXPECT_FALSE(decode_rod_token(ByteView(good).first(511)));
  RodTokenBytes bad = good;
  bad[7] = 0xf7;
  EXPECT_FALSE(decode_rod_token(bad));
  bad = good;
  bad[48] = 1;  // 2^120 bytes
  EXPECT_FALSE(decode_rod_token(bad));
  bad = good;
  bad[1] = bad[3] = 0;  // internal
  EXPECT_FALSE(decode_rod_token(bad));
}

TEST(RodToken, AnyBytesAreReadWithinTheirBounds) {
  std::mt19937 random(4);
  for (unsigned round = 0; round < 2000; ++round) {
    RodTokenBytes token = encode_rod_token(example());
    for (unsigned damage = 0; damage < 64; ++damage) {
      token[8 + random() % (token.size() - 8)] = static_cast<std::uint8_t>(random());
    }
    const std::vector<std::uint8_t> exact(token.begin(), token.end());
    if (const auto decoded = decode_rod_token(exact)) {
      EXPECT_EQ(decode_rod_token(encode_rod_token(*decoded)), *decoded);
    }
  }
}

}  // namespace
}  // namespace peerlane::scsi
