#include "scsi/port_groups.h"

#include <array>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

const std::array kGroups{
    TargetPortGroup{.preferred = true, .state = AccessState::kOptimized, .supported = 0x8f, .group = 1, .ports = {1}},
    TargetPortGroup{.state = AccessState::kStandby,
                    .supported = 0x8f,
                    .group = 0x0102,
                    .status = AccessStatus::kExplicit,
                    .ports = {0x0102, 3}},
};

TEST(PortGroups, LengthOnlyHeader) {
  // SPC-4 tables 304, 306 and 309.
  const auto expected = bytes(
      "00 00 00 1c"
      "80 8f 00 01 00 00 00 01 00 00 00 01"
      "02 8f 01 02 00 01 00 02 00 00 01 02 00 00 00 03");
  std::vector<std::uint8_t> out(64, 0xee);
  ASSERT_EQ(encode_port_groups(kGroups, false, out), expected.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.begin()));
  EXPECT_EQ(decode_port_groups(expected), std::vector(kGroups.begin(), kGroups.end()));
}

TEST(PortGroups, ExtendedHeader) {
  const auto expected = bytes(
      "00 00 00 20 10 00 00 00"
      "80 8f 00 01 00 00 00 01 00 00 00 01"
      "02 8f 01 02 00 01 00 02 00 00 01 02 00 00 00 03");
  std::vector<std::uint8_t> out(64, 0xee);
  ASSERT_EQ(encode_port_groups(kGroups, true, out), expected.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), out.begin()));
  EXPECT_EQ(decode_port_groups(expected), std::vector(kGroups.begin(), kGroups.end()));
}

TEST(PortGroups, WhatIsCutShortIsLeftOut) {
  std::vector<std::uint8_t> out(64);
  out.resize(encode_port_groups(kGroups, false, out));
  for (std::size_t size = 0; size < out.size(); ++size) {
    const auto groups = decode_port_groups(ByteView(out).first(size));
    ASSERT_EQ(groups.has_value(), size >= 4);
    if (groups) {
      EXPECT_EQ(groups->size(), size >= 16 ? 1u : 0u);
    }
  }
}

TEST(PortGroups, SetList) {
  const auto list = bytes("00 00 00 00 02 00 00 01 f0 00 01 02");  // reserved bits of the second are not looked at
  const auto decoded = SetPortGroupsList::decode(list);
  ASSERT_TRUE(decoded);
  ASSERT_EQ(decoded->size(), 2u);
  EXPECT_EQ((*decoded)[0], (SetTargetPortGroup{AccessState::kStandby, 1}));
  EXPECT_EQ((*decoded)[1], (SetTargetPortGroup{AccessState::kOptimized, 0x0102}));
  for (const std::size_t size : {0u, 3u, 5u, 11u}) EXPECT_FALSE(SetPortGroupsList::decode(ByteView(list).first(size)));
  EXPECT_EQ(SetPortGroupsList::decode(ByteView(list).first(4))->size(), 0u);

  std::vector<std::uint8_t> out(12, 0xee);
  const std::array changes{SetTargetPortGroup{AccessState::kStandby, 1},
                           SetTargetPortGroup{AccessState::kOptimized, 0x0102}};
  EXPECT_EQ(encode_set_port_groups(changes, out), 12u);
  EXPECT_EQ(out, bytes("00 00 00 00 02 00 00 01 00 00 01 02"));
}

}  // namespace
}  // namespace peerlane::scsi
