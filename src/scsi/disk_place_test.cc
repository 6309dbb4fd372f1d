#include "scsi/disk_place.h"

#include <array>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::scsi {
namespace {

using Page = std::vector<std::uint8_t>;

const DiskPlace kPartition{.identity = "eui.0025385b71b0a1c2", .offset = 1 << 20, .length = std::uint64_t{7} << 40};

Page page_of(const DiskPlace& place) {
  Page page(kMaxVpdBytes, 0xff);
  page.resize(encode_disk_place({}, place, page));
  return page;
}

TEST(DiskPlace, IsAPageOfItsOwn) {
  const Page page = page_of(kPartition);
  const Page expected{0x00, 0xe8, 0x00, 0x30,                          // header
                      'P',  'E',  'E',  'R',  'L',  'A',  'N',  'E',   //
                      0x01, 0x14, 0x00, 0x00,                          // version, length of the identity
                      0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00,  // 1 MiB
                      0x00, 0x00, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00,  // 7 TiB
                      'e',  'u',  'i',  '.',  '0',  '0',  '2',  '5',  '3', '8',
                      '5',  'b',  '7',  '1',  'b',  '0',  'a',  '1',  'c', '2'};
  EXPECT_EQ(page, expected);
  EXPECT_EQ(decode_disk_place(page), kPartition);
}

TEST(DiskPlace, OneThatIsCutShortIsNone) {
  const Page page = page_of(kPartition);
  for (std::size_t size = 0; size < page.size(); ++size) {
    EXPECT_FALSE(decode_disk_place(ByteView(page).first(size))) << size;
  }
  Page longer = page;
  longer.resize(page.size() + 4);
  EXPECT_EQ(decode_disk_place(longer), kPartition);
}

TEST(DiskPlace, WhatCannotBeIsNotBelieved) {
  const auto changed = [](std::size_t at, std::uint8_t value) {
    Page page = page_of(kPartition);
    page[at] = value;
    return decode_disk_place(page);
  };
  EXPECT_FALSE(changed(1, 0xc0));   // another page
  EXPECT_FALSE(changed(4, 'p'));    // another vendor's
  EXPECT_FALSE(changed(12, 2));     // another version
  EXPECT_FALSE(changed(13, 0));     // no identity
  EXPECT_FALSE(changed(13, 0x15));  // a longer one than the page
  EXPECT_TRUE(changed(33, 'v'));
  for (const char c : {'\0', '/', 'E', ' ', '*', '\x7f'}) EXPECT_FALSE(changed(33, static_cast<std::uint8_t>(c))) << c;
  EXPECT_TRUE(decode_disk_place(page_of({"eui.1", UINT64_MAX - 5, 5})));
  EXPECT_FALSE(decode_disk_place(page_of({"eui.1", UINT64_MAX - 5, 6})));
  EXPECT_FALSE(decode_disk_place(page_of({"eui.1", 5, 0})));
}

TEST(DiskPlace, LengthsOfIdentities) {
  const std::string longest(kMaxDiskIdentityBytes, 'a');
  EXPECT_TRUE(decode_disk_place(page_of({longest, 0, 1})));
  Page longer = page_of({longest, 0, 1});
  longer[3] += 1;
  longer[13] += 1;
  longer.push_back('a');
  EXPECT_FALSE(decode_disk_place(longer));
}

}  // namespace
}  // namespace peerlane::scsi
