#include "scsi/unmap.h"

#include <array>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

const auto kTwoRanges = bytes(
    "00 26 00 20 00 00 00 00"
    "00 00 00 00 00 00 00 10 00 00 00 08 00 00 00 00"
    "12 34 56 78 9a bc de f0 ff ff ff ff 00 00 00 00");

TEST(UnmapList, EncodesAsInTheStandardAndReadsBack) {
  const std::array ranges{UnmapRange{{0x10}, {8}}, UnmapRange{{0x123456789abcdef0}, {0xffffffff}}};
  std::vector<std::uint8_t> out(kTwoRanges.size(), 0xee);
  EXPECT_EQ(encode_unmap_list(ranges, out), out.size());
  EXPECT_EQ(out, kTwoRanges);
  const auto list = UnmapList::decode(kTwoRanges);
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 2u);
  EXPECT_EQ((*list)[0], ranges[0]);
  EXPECT_EQ((*list)[1], ranges[1]);
}

TEST(UnmapList, TheShortestLengthCounts) {
  auto list = kTwoRanges;
  list[3] = 0x10;  // BLOCK DESCRIPTOR DATA LENGTH
  EXPECT_EQ(UnmapList::decode(list)->size(), 1u);
  list[3] = 0x1f;  // no multiple of 16: the last descriptor is incomplete
  EXPECT_EQ(UnmapList::decode(list)->size(), 1u);
  list[3] = 0xff;  // more than there is
  EXPECT_EQ(UnmapList::decode(list)->size(), 2u);
  list[2] = 0xff;
  list[0] = 0xff;
  EXPECT_EQ(UnmapList::decode(list)->size(), 2u);
  list = kTwoRanges;
  list[1] = 0x16;  // UNMAP DATA LENGTH
  EXPECT_EQ(UnmapList::decode(list)->size(), 1u);
  list[1] = 0x00;
  EXPECT_EQ(UnmapList::decode(list)->size(), 0u);
}

TEST(UnmapList, Truncations) {
  for (std::size_t size = 0; size < kTwoRanges.size(); ++size) {
    const std::vector<std::uint8_t> part(kTwoRanges.begin(), kTwoRanges.begin() + static_cast<std::ptrdiff_t>(size));
    const auto list = UnmapList::decode(part);
    ASSERT_EQ(list.has_value(), size >= 8) << size;
    if (list) {
      EXPECT_EQ(list->size(), size >= 24 ? 1u : 0u) << size;
    }
  }
}

}  // namespace
}  // namespace peerlane::scsi
