#include "copy/nvme_command.h"

#include <array>

#include <gtest/gtest.h>

namespace peerlane::copy::nvme {
namespace {

struct Identified {
  std::array<std::uint8_t, 4096> controller{};
  std::array<std::uint8_t, 4096> name_space{};
  std::array<std::uint8_t, 512> host_behavior{};
  CopyLimits limits() const { return decode_limits(controller, name_space, host_behavior); }
};

/// A namespace of 4096-byte blocks in its second LBA format, whose controller has formats 0 and 2.
Identified typical() {
  Identified identified;
  put_le16(identified.controller, 520, 0x015f);
  put_le16(identified.controller, 534, 0x0005);
  put_le16(identified.name_space, 74, 128);
  put_le32(identified.name_space, 76, 512);
  identified.name_space[80] = 127;
  identified.name_space[26] = 1;
  identified.name_space[128 + 2] = 9;
  identified.name_space[128 + 4 + 2] = 12;
  return identified;
}

TEST(NvmeCopyLimits, AreDecoded) {
  const CopyLimits limits = typical().limits();
  EXPECT_TRUE(limits.copy);
  EXPECT_EQ(limits.formats, 5u);
  EXPECT_FALSE(limits.formats_enabled);
  EXPECT_EQ(limits.block, 4096u);
  EXPECT_FALSE(limits.metadata);
  EXPECT_EQ(limits.range_blocks, 128u);
  EXPECT_EQ(limits.blocks, 512u);
  EXPECT_EQ(limits.ranges, 128u);
  EXPECT_EQ(most_blocks(limits), 512u);
}

TEST(NvmeCopyLimits, OfDisksThatCannotOrWithSomethingElse) {
  Identified identified = typical();
  put_le16(identified.controller, 520, 0x005f);
  identified.host_behavior[4] = 0x04;
  EXPECT_FALSE(identified.limits().copy);
  EXPECT_TRUE(identified.limits().formats_enabled);
  identified.name_space[128 + 4] = 8;  // MS
  EXPECT_TRUE(identified.limits().metadata);
  identified.name_space[128 + 4 + 2] = 63;  // LBADS
  EXPECT_EQ(identified.limits().block, 0u);
  identified.name_space[80] = 255;
  put_le16(identified.name_space, 74, 0);
  EXPECT_EQ(identified.limits().ranges, 256u);
  EXPECT_EQ(most_blocks(identified.limits()), 0u);
}

TEST(NvmeCopyLimits, TheFormatsHighBitsStandApart) {
  Identified identified = typical();
  identified.name_space[26] = 0x21;  // format 17
  identified.name_space[128 + 4 * 17 + 2] = 9;
  EXPECT_EQ(identified.limits().block, 512u);
}

TEST(NvmeCopyRanges, AreCutAtTheirLimit) {
  const CopyLimits limits = typical().limits();
  const auto ranges = cut(limits, 3, 1000, 300);
  ASSERT_EQ(ranges.size(), 3u);
  EXPECT_EQ(ranges[0].block, 1000u);
  EXPECT_EQ(ranges[0].blocks, 128u);
  EXPECT_EQ(ranges[2].block, 1256u);
  EXPECT_EQ(ranges[2].blocks, 44u);
  EXPECT_EQ(ranges[2].nsid, 3u);
}

TEST(NvmeCopyRanges, AreEncodedInBothFormats) {
  const SourceRange range{.nsid = 0x11223344, .block = 0x0102030405060708, .blocks = 65536};
  const auto inside = encode({&range, 1}, false);
  ASSERT_EQ(inside.size(), 32u);
  EXPECT_EQ(get_le32(inside, 0), 0u);
  EXPECT_EQ(get_le32(inside, 8), 0x05060708u);
  EXPECT_EQ(get_le32(inside, 12), 0x01020304u);
  EXPECT_EQ(get_le16(inside, 16), 0xffffu);
  EXPECT_EQ(get_le32(inside, 20), 0u);
  EXPECT_EQ(get_le32(encode({&range, 1}, true), 0), 0x11223344u);
}

}  // namespace
}  // namespace peerlane::copy::nvme
