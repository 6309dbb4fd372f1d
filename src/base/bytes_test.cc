#include "base/bytes.h"

#include <array>
#include <cstdint>

#include <gtest/gtest.h>

namespace peerlane {
namespace {

TEST(Bytes, ReadsBigEndianAtAnyOffset) {
  constexpr std::array<std::uint8_t, 9> bytes{0xff, 1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(get_be16(bytes, 1), 0x0102);
  EXPECT_EQ(get_be24(bytes, 1), 0x010203u);
  EXPECT_EQ(get_be32(bytes, 1), 0x01020304u);
  EXPECT_EQ(get_be48(bytes, 1), 0x010203040506u);
  EXPECT_EQ(get_be64(bytes, 1), 0x0102030405060708u);
}

TEST(Bytes, WritesNoByteBesideTheField) {
  std::array<std::uint8_t, 5> bytes{0xaa, 0xaa, 0xaa, 0xaa, 0xaa};
  put_be24(bytes, 1, 0x123456);
  EXPECT_EQ(bytes, (std::array<std::uint8_t, 5>{0xaa, 0x12, 0x34, 0x56, 0xaa}));
}

TEST(Bytes, LittleEndianHasTheLeastByteFirst) {
  std::array<std::uint8_t, 9> bytes{};
  put_le64(bytes, 1, 0x0807060504030201);
  EXPECT_EQ(bytes, (std::array<std::uint8_t, 9>{0, 1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(get_le16(bytes, 1), 0x0201);
  EXPECT_EQ(get_le32(bytes, 1), 0x04030201u);
  put_le16(bytes, 0, 0xbbaa);
  put_le32(bytes, 5, 0x99887766);
  EXPECT_EQ(bytes, (std::array<std::uint8_t, 9>{0xaa, 0xbb, 2, 3, 4, 0x66, 0x77, 0x88, 0x99}));
}

}  // namespace
}  // namespace peerlane
