#include "copy/nvme_command.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::copy::nvme {
namespace {

struct Identified {
  std::array<std::uint8_t, 4096> controller{};
  std::array<std::uint8_t, 4096> name_space{};
  std::array<std::uint8_t, 4096> nvm_name_space{};
  std::array<std::uint8_t, 512> host_behavior{};
  CopyLimits limits() const { return decode_limits(controller, name_space, nvm_name_space, host_behavior); }
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
  EXPECT_EQ(limits.enabled, 0u);
  EXPECT_EQ(limits.block, 4096u);
  EXPECT_EQ(limits.metadata, 0u);
  EXPECT_EQ(limits.protection, 0u);
  EXPECT_FALSE(has_extended_formats(typical().controller));
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
  EXPECT_EQ(identified.limits().enabled, 4u);
  identified.name_space[128 + 4] = 8;  // MS
  EXPECT_EQ(identified.limits().metadata, 8u);
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

TEST(NvmeCopyLimits, OfProtectionInformation) {
  Identified identified = typical();
  put_le32(identified.controller, 96, 0x8000);  // CTRATT: ELBAS
  EXPECT_TRUE(has_extended_formats(identified.controller));
  put_le16(identified.name_space, 128 + 4, 16);
  identified.name_space[29] = 0x09;  // DPS: type 1, in the first bytes
  CopyLimits limits = identified.limits();
  EXPECT_EQ(limits.metadata, 16u);
  EXPECT_EQ(limits.protection, 1u);
  EXPECT_EQ(limits.guard, Guard::k16);
  EXPECT_EQ(form_for(limits, false).format, 0u);
  EXPECT_EQ(form_for(limits, true).format, 2u);
  put_le32(identified.nvm_name_space, 12, 0x085);  // of another LBA format
  put_le32(identified.nvm_name_space, 16, 0x100);  // PIF 10b, STS 0
  limits = identified.limits();
  EXPECT_EQ(limits.guard, Guard::k64);
  EXPECT_EQ(limits.storage_tag, 0u);
  EXPECT_EQ(form_for(limits, false).format, 1u);
  EXPECT_EQ(form_for(limits, true).format, 3u);
  EXPECT_EQ(form_for(limits, true).protection, 1u);
  put_le32(identified.nvm_name_space, 16, 0x090);  // PIF 01b, STS 16
  EXPECT_EQ(identified.limits().guard, Guard::kOther);
  EXPECT_EQ(identified.limits().storage_tag, 16u);
  // Without protection information a guard is nothing.
  identified.name_space[29] = 0;
  EXPECT_EQ(form_for(identified.limits(), false).format, 0u);
}

/// Ranges, as NVM Command Set Specification §3.3.2 has them: bytes that are not named are zeroes.
struct Entry {
  std::size_t bytes;
  std::vector<std::pair<std::size_t, std::vector<std::uint8_t>>> fields;
};

void expect_entry(const std::vector<std::uint8_t>& found, const Entry& expected) {
  std::vector<std::uint8_t> bytes(expected.bytes);
  for (const auto& [offset, field] : expected.fields) {
    std::copy(field.begin(), field.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset));
  }
  EXPECT_EQ(found, bytes);
}

TEST(NvmeCopyRanges, AreEncodedInEachFormat) {
  const SourceRange range{.nsid = 0x11223344, .block = 0x0102030405060708, .blocks = 65536};
  const std::span<const SourceRange> ranges(&range, 1);
  using Field = std::pair<std::size_t, std::vector<std::uint8_t>>;
  const Field nsid{0, {0x44, 0x33, 0x22, 0x11}};
  const Field block{8, {8, 7, 6, 5, 4, 3, 2, 1}};
  const Field count{16, {0xff, 0xff}};
  const Field tag{24, {8, 7, 6, 5}};
  const Field wide_tag{30, {3, 4, 5, 6, 7, 8}};
  expect_entry(encode(ranges, CopyForm{.format = 0, .protection = 0}), {32, {block, count}});
  expect_entry(encode(ranges, CopyForm{.format = 2, .protection = 0}), {32, {nsid, block, count}});
  for (const std::uint8_t type : {std::uint8_t{1}, std::uint8_t{2}}) {
    expect_entry(encode(ranges, CopyForm{.format = 0, .protection = type}), {32, {block, count, tag}});
    expect_entry(encode(ranges, CopyForm{.format = 2, .protection = type}), {32, {nsid, block, count, tag}});
    expect_entry(encode(ranges, CopyForm{.format = 1, .protection = type}), {40, {block, count, wide_tag}});
    expect_entry(encode(ranges, CopyForm{.format = 3, .protection = type}), {40, {nsid, block, count, wide_tag}});
  }
  // The reference tag of type 3 is nobody's place.
  expect_entry(encode(ranges, CopyForm{.format = 0, .protection = 3}), {32, {block, count}});
  expect_entry(encode(ranges, CopyForm{.format = 3, .protection = 3}), {40, {nsid, block, count}});
  // The second one follows the first.
  const SourceRange two[] = {range, {.nsid = 1, .block = 9, .blocks = 1}};
  const auto both = encode(two, CopyForm{.format = 1, .protection = 1});
  ASSERT_EQ(both.size(), 80u);
  EXPECT_EQ(both[40 + 8], 9u);
  EXPECT_EQ(both[40 + 35], 9u);
}

TEST(NvmeCopyCommand, SaysWhereToAndWhatIsMadeOfProtectionInformation) {
  constexpr std::uint64_t kBlock = 0x0102030405060708;
  const CopyDwords plain = encode(kBlock, 3, CopyForm{.format = 2, .protection = 0});
  EXPECT_EQ(plain.cdw10, 0x05060708u);
  EXPECT_EQ(plain.cdw11, 0x01020304u);
  EXPECT_EQ(plain.cdw12, 0x0202u);
  EXPECT_EQ(plain.cdw3 | plain.cdw14, 0u);
  // PRINFOR in bits 15 to 12, PRINFOW in bits 29 to 26.
  const CopyDwords narrow = encode(kBlock, 1, CopyForm{.format = 0, .protection = 1});
  EXPECT_EQ(narrow.cdw12, 0x3400d000u);
  EXPECT_EQ(narrow.cdw14, 0x05060708u);
  EXPECT_EQ(narrow.cdw3, 0u);
  const CopyDwords wide = encode(kBlock, 1, CopyForm{.format = 1, .protection = 2});
  EXPECT_EQ(wide.cdw12, 0x3400d100u);
  EXPECT_EQ(wide.cdw14, 0x05060708u);
  EXPECT_EQ(wide.cdw3, 0x0304u);
  const CopyDwords third = encode(kBlock, 1, CopyForm{.format = 0, .protection = 3});
  EXPECT_EQ(third.cdw12, 0x3000c000u);
  EXPECT_EQ(third.cdw14 | third.cdw3, 0u);
}

}  // namespace
}  // namespace peerlane::copy::nvme
