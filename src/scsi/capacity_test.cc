#include "scsi/capacity.h"

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

TEST(Capacity, AsTgtSendsIt) {
  // 64 MiB in blocks of 512, thin, eight logical blocks per physical one.
  const Capacity capacity{
      .blocks = {131072}, .block_size = 512, .physical_exponent = 3, .provisioning = true, .reads_zeroes = true};
  const auto ten = bytes("00 01 ff ff 00 00 02 00");
  const auto sixteen =
      bytes("00 00 00 00 00 01 ff ff 00 00 02 00 00 03 c0 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
  std::vector<std::uint8_t> out(kCapacity10Bytes, 0xee);
  encode_capacity10(capacity, out);
  EXPECT_EQ(out, ten);
  out.assign(kCapacity16Bytes, 0xee);
  encode_capacity16(capacity, out);
  EXPECT_EQ(out, sixteen);
  EXPECT_EQ(decode_capacity16(sixteen), capacity);
  EXPECT_EQ(decode_capacity10(ten)->blocks, capacity.blocks);
  EXPECT_EQ(decode_capacity10(ten)->block_size, 512u);
}

TEST(Capacity, LargeDisksSendTheReaderToTheLongForm) {
  std::vector<std::uint8_t> out(kCapacity10Bytes);
  encode_capacity10({.blocks = {0xffffffff}}, out);
  EXPECT_EQ(get_be32(out, 0), 0xfffffffe);
  EXPECT_TRUE(decode_capacity10(out));
  for (const std::uint64_t blocks : {std::uint64_t{0x100000000}, std::uint64_t{0x100000001}, UINT64_MAX}) {
    encode_capacity10({.blocks = {blocks}}, out);
    EXPECT_EQ(get_be32(out, 0), 0xffffffff);
    EXPECT_FALSE(decode_capacity10(out));
  }
}

TEST(Capacity, OtherFieldsAndTruncations) {
  const Capacity capacity{.blocks = {UINT64_MAX}, .block_size = 4096, .lowest_aligned_lba = 0x3fff};
  std::vector<std::uint8_t> out(kCapacity16Bytes, 0xee);
  encode_capacity16(capacity, out);
  EXPECT_EQ(decode_capacity16(out), capacity);
  for (std::size_t size = 0; size < out.size(); ++size) {
    const std::vector<std::uint8_t> part(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_EQ(decode_capacity16(part).has_value(), size >= 12) << size;
  }
  EXPECT_FALSE(decode_capacity16(bytes("ff ff ff ff ff ff ff ff 00 00 02 00")));  // 2^64 blocks
  EXPECT_FALSE(decode_capacity10(bytes("00 00 00 01 00 00 02")));
}

}  // namespace
}  // namespace peerlane::scsi
