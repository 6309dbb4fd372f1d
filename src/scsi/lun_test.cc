#include "scsi/lun.h"

#include <array>
#include <vector>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

TEST(Lun, AddressMethods) {
  EXPECT_EQ(decode_lun(0x0000'0000'0000'0000), Lun{0});
  EXPECT_EQ(decode_lun(0x0001'0000'0000'0000), Lun{1});
  EXPECT_EQ(decode_lun(0x00ff'0000'0000'0000), Lun{255});
  EXPECT_EQ(decode_lun(0x4001'0000'0000'0000), Lun{1});  // flat space
  EXPECT_EQ(decode_lun(0x4100'0000'0000'0000), Lun{256});
  EXPECT_EQ(decode_lun(0x7fff'0000'0000'0000), Lun{16383});
  EXPECT_EQ(decode_lun(0xd200'0001'0000'0000), Lun{1});  // extended flat space
  EXPECT_EQ(decode_lun(0xd200'3fff'0000'0000), Lun{16383});
}

TEST(Lun, WhatIsNotOneOfOurLunsIsNone) {
  EXPECT_FALSE(decode_lun(0x0101'0000'0000'0000));  // bus 1
  EXPECT_FALSE(decode_lun(0x0001'0001'0000'0000));  // a second level
  EXPECT_FALSE(decode_lun(0x0000'0000'0000'0001));
  EXPECT_FALSE(decode_lun(0x4001'0000'0000'0001));
  EXPECT_FALSE(decode_lun(0x8001'0000'0000'0000));  // logical unit addressing
  EXPECT_FALSE(decode_lun(kReportLunsWellKnown));
  EXPECT_FALSE(decode_lun(0xd200'4000'0000'0000));  // 16384
  EXPECT_FALSE(decode_lun(0xd201'0000'0000'0000));
  EXPECT_FALSE(decode_lun(0xd200'0001'0000'0001));
  EXPECT_FALSE(decode_lun(0xe200'0000'0100'0000));  // long extended flat space
  EXPECT_FALSE(decode_lun(UINT64_MAX));
}

TEST(Lun, EncodesAsInitiatorsExpectAndReadsBack) {
  EXPECT_EQ(encode_lun({1}), 0x0001'0000'0000'0000u);
  EXPECT_EQ(encode_lun({255}), 0x00ff'0000'0000'0000u);
  EXPECT_EQ(encode_lun({256}), 0x4100'0000'0000'0000u);
  for (unsigned lun = 0; lun <= kMostLun; ++lun) {
    ASSERT_EQ(decode_lun(encode_lun({static_cast<std::uint16_t>(lun)})), Lun{static_cast<std::uint16_t>(lun)});
  }
}

TEST(LunList, IsAsTgtSendsIt) {
  const auto expected = bytes("00 00 00 10 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00");
  std::vector<std::uint8_t> out(24, 0xee);
  EXPECT_EQ(encode_lun_list(std::array{Lun{0}, Lun{1}}, {}, out), 24u);
  EXPECT_EQ(out, expected);
  EXPECT_EQ(lun_list_entry(expected, 0), 0u);
  EXPECT_EQ(lun_list_entry(expected, 1), 0x0001'0000'0000'0000u);
  EXPECT_FALSE(lun_list_entry(expected, 2));
}

TEST(LunList, LengthsThatLieDoNotReadPastTheEnd) {
  EXPECT_FALSE(lun_list_entry(bytes("ff ff ff ff 00 00 00"), 0));
  EXPECT_FALSE(lun_list_entry(bytes("ff ff ff ff 00 00 00 00"), 0));
  EXPECT_FALSE(lun_list_entry(bytes("00 00 00 07 00 00 00 00 00 01 00 00 00 00 00 00"), 0));
  EXPECT_FALSE(lun_list_entry(bytes("00 00 00 10 00 00 00 00 00 01 00 00 00 00 00 00"), 1));
}

}  // namespace
}  // namespace peerlane::scsi
