#include "attach/ublk_request.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "attach/ublk_control.h"
#include "attach/ublk_device.h"
#include "base/limits.h"

namespace peerlane::attach {
namespace {

using Kind = UblkRequest::Kind;

constexpr std::uint64_t kSize = 1u << 20;
constexpr std::uint32_t kIoBytes = 64u << 10;

block::Geometry geometry(std::uint32_t block_size = 512) {
  return {kSize, block_size, 4096};
}

block::Capabilities everything() {
  block::Capabilities can;
  can.unmap = can.write_zeroes = can.volatile_cache = can.fua = true;
  can.unmap_granularity = 8192;
  return can;
}

Result<UblkRequest> decode(std::uint32_t word, std::uint64_t first_sector, std::uint32_t sectors,
                           const block::Capabilities& can = everything(), std::uint32_t block_size = 512) {
  return decode_request({word, sectors, first_sector, 0}, geometry(block_size), can, kIoBytes);
}

int code_of(const Result<UblkRequest>& result) {
  return result ? 0 : result.error().code;
}

TEST(UblkAbi, CommandsHaveTheKernelsNumbers) {
  EXPECT_EQ(ublk::kGetDeviceInfo, 0x80207502u);
  EXPECT_EQ(ublk::kAddDevice, 0xc0207504u);
  EXPECT_EQ(ublk::kDeleteDevice, 0xc0207505u);
  EXPECT_EQ(ublk::kGetFeatures, 0x80207513u);
  EXPECT_EQ(ublk::kDeleteDeviceAsync, 0x80207514u);
  EXPECT_EQ(ublk::kUpdateSize, 0xc0207515u);
  EXPECT_EQ(ublk::kFetch, 0xc0107520u);
  EXPECT_EQ(ublk::kCommitAndFetch, 0xc0107521u);
}

TEST(UblkRequest, ReadsAndWritesBecomeBytes) {
  const auto read = decode(ublk::kRead, 8, 16);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, Kind::kRead);
  EXPECT_EQ(read->offset, 4096u);
  EXPECT_EQ(read->length, 8192u);

  const auto write = decode(ublk::kWrite | ublk::kRequestFua, 0, 1);
  ASSERT_TRUE(write);
  EXPECT_EQ(write->kind, Kind::kWrite);
  EXPECT_TRUE(write->fua);
  EXPECT_FALSE(decode(ublk::kWrite, 0, 1)->fua);
}

TEST(UblkRequest, FlagsThatConcernOthersChangeNothing) {
  // FAILFAST_DEV, META and SWAP, as the kernel has them.
  const auto read = decode(ublk::kRead | 1u << 8 | 1u << 11 | 1u << 16, 0, 1);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind, Kind::kRead);
}

TEST(UblkRequest, ZeroesKeepTheirSpaceWhereThatIsAskedFor) {
  EXPECT_TRUE(decode(ublk::kWriteZeroes, 0, 8)->may_unmap);
  EXPECT_FALSE(decode(ublk::kWriteZeroes | ublk::kRequestNoUnmap, 0, 8)->may_unmap);
}

TEST(UblkRequest, AFlushHasNoRange) {
  const auto flush = decode(ublk::kFlush, ~std::uint64_t{0}, ~std::uint32_t{0});
  ASSERT_TRUE(flush);
  EXPECT_EQ(flush->kind, Kind::kFlush);
  EXPECT_EQ(flush->length, 0u);
}

TEST(UblkRequest, WhatIsBeyondTheEndFails) {
  constexpr std::uint64_t kSectors = kSize / 512;
  EXPECT_EQ(code_of(decode(ublk::kRead, kSectors - 1, 1)), 0);
  EXPECT_EQ(code_of(decode(ublk::kRead, kSectors - 1, 2)), EIO);
  EXPECT_EQ(code_of(decode(ublk::kRead, kSectors + 1, 1)), EIO);
  // Sectors whose offset in bytes would not fit: no wrap to the beginning of the disk.
  EXPECT_EQ(code_of(decode(ublk::kWrite, std::uint64_t{1} << 55, 1)), EIO);
  EXPECT_EQ(code_of(decode(ublk::kDiscard, 0, 0xffffffff)), EIO);
}

TEST(UblkRequest, DataHasToFitTheBuffer) {
  EXPECT_EQ(code_of(decode(ublk::kRead, 0, kIoBytes / 512)), 0);
  EXPECT_EQ(code_of(decode(ublk::kRead, 0, kIoBytes / 512 + 1)), EIO);
  EXPECT_EQ(code_of(decode(ublk::kWrite, 0, kIoBytes / 512 + 1)), EIO);
  EXPECT_EQ(code_of(decode(ublk::kDiscard, 0, kIoBytes / 512 + 1)), 0);
}

TEST(UblkRequest, PartsOfBlocksFail) {
  EXPECT_EQ(code_of(decode(ublk::kRead, 8, 8, everything(), 4096)), 0);
  EXPECT_EQ(code_of(decode(ublk::kRead, 4, 8, everything(), 4096)), EIO);
  EXPECT_EQ(code_of(decode(ublk::kWrite, 8, 4, everything(), 4096)), EIO);
}

TEST(UblkRequest, WhatTheDeviceCannotDoIsNotTried) {
  const block::Capabilities nothing;
  EXPECT_EQ(code_of(decode(ublk::kDiscard, 0, 8, nothing)), ENOTSUP);
  EXPECT_EQ(code_of(decode(ublk::kWriteZeroes, 0, 8, nothing)), ENOTSUP);
  EXPECT_EQ(code_of(decode(4, 0, 8)), ENOTSUP);   // WRITE_SAME
  EXPECT_EQ(code_of(decode(15, 0, 8)), ENOTSUP);  // ZONE_RESET
  block::Capabilities read_only = everything();
  read_only.read_only = true;
  for (const auto operation : {ublk::kWrite, ublk::kDiscard, ublk::kWriteZeroes}) {
    EXPECT_EQ(code_of(decode(operation, 0, 8, read_only)), EROFS);
  }
  EXPECT_EQ(code_of(decode(ublk::kRead, 0, 8, read_only)), 0);
}

TEST(UblkResult, BytesOfDataAndNothingElse) {
  EXPECT_EQ(result_of(*decode(ublk::kRead, 0, 8), {}), 4096);
  EXPECT_EQ(result_of(*decode(ublk::kWrite, 0, 8), {}), 4096);
  EXPECT_EQ(result_of(*decode(ublk::kDiscard, 0, 8), {}), 0);
  EXPECT_EQ(result_of(*decode(ublk::kFlush, 0, 0), {}), 0);
}

TEST(UblkResult, ErrorsThatTheKernelWouldMisunderstandAreIoErrors) {
  const UblkRequest request = *decode(ublk::kWrite, 0, 8);
  EXPECT_EQ(result_of(request, fail(ENOSPC)), -ENOSPC);
  EXPECT_EQ(result_of(request, fail(ETIMEDOUT)), -ETIMEDOUT);
  // ENODEV ends a queue; EAGAIN and EINTR are no ends at all; a code that is none must not become a success.
  for (const int code : {ENODEV, EAGAIN, EINTR, ESTALE, ECANCELED, 0, -5}) {
    EXPECT_EQ(result_of(request, fail(code)), -EIO) << code;
  }
}

TEST(UblkParameters, OfADiskThatCanDoEverything) {
  const auto parameters = parameters_of({kSize, 512, 4096}, everything(), kIoBytes);
  EXPECT_EQ(parameters.length, sizeof parameters);
  EXPECT_EQ(parameters.types, ublk::kHasBasic | ublk::kHasDiscard);
  EXPECT_EQ(parameters.basic.attributes, ublk::kVolatileCache | ublk::kFua);
  EXPECT_EQ(parameters.basic.logical_block_shift, 9);
  EXPECT_EQ(parameters.basic.physical_block_shift, 12);
  EXPECT_EQ(parameters.basic.most_sectors, kIoBytes / 512);
  EXPECT_EQ(parameters.basic.sectors, kSize / 512);
  EXPECT_EQ(parameters.discard.granularity, 8192u);
  EXPECT_EQ(parameters.discard.most_segments, 1);
  EXPECT_EQ(parameters.discard.most_discard_sectors, limits::kAttachDiscardBytes / 512);
  EXPECT_EQ(parameters.discard.most_write_zeroes_sectors, limits::kAttachDiscardBytes / 512);
}

TEST(UblkParameters, OfADiskThatCannot) {
  block::Capabilities can;
  auto parameters = parameters_of({kSize, 4096, 512}, can, kIoBytes);
  EXPECT_EQ(parameters.types, ublk::kHasBasic);
  EXPECT_EQ(parameters.basic.attributes, 0u);
  // The kernel refuses physical blocks smaller than logical ones.
  EXPECT_EQ(parameters.basic.physical_block_shift, 12);

  can.fua = true;  // without a cache there is nothing to force
  EXPECT_EQ(parameters_of({kSize, 512, 512}, can, kIoBytes).basic.attributes, 0u);

  can.write_zeroes = true;
  parameters = parameters_of({kSize, 512, 512}, can, kIoBytes);
  EXPECT_EQ(parameters.types, ublk::kHasBasic | ublk::kHasDiscard);
  EXPECT_EQ(parameters.discard.most_discard_sectors, 0u);
  EXPECT_EQ(parameters.discard.most_segments, 0);
  EXPECT_EQ(parameters.discard.granularity, 512u);  // the kernel refuses 0

  can.read_only = true;
  parameters = parameters_of({kSize, 512, 512}, can, kIoBytes);
  EXPECT_EQ(parameters.types, ublk::kHasBasic);
  EXPECT_EQ(parameters.basic.attributes, ublk::kReadOnly);
}

TEST(UblkMark, IsThatOfTheDisk) {
  const auto one = mark_of("naa.5000000000000001");
  EXPECT_EQ(one, mark_of("naa.5000000000000001"));
  EXPECT_NE(one, mark_of("naa.5000000000000002"));
  EXPECT_TRUE(is_marked(one));
  EXPECT_TRUE(names_a_disk(one));
}

TEST(UblkMark, WithoutAnIdentityNamesNoDisk) {
  EXPECT_TRUE(is_marked(mark_of("")));
  EXPECT_FALSE(names_a_disk(mark_of("")));
  // Other programs' devices.
  for (const std::uint64_t flags : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
    EXPECT_FALSE(is_marked(flags));
    EXPECT_FALSE(names_a_disk(flags));
  }
}

TEST(UblkPath, IsReadAsItIsPrinted) {
  for (const char* const text : {"/dev/ublkb12", "ublkb12", "12"}) EXPECT_EQ(*parse_disk_path(text), 12u) << text;
  EXPECT_EQ(*parse_disk_path(disk_path(0)), 0u);
  for (const char* const text :
       {"", "/dev/ublkb", "/dev/sda", "/dev/ublkc0", "-1", "1x", "4294967295", "99999999999"}) {
    EXPECT_FALSE(parse_disk_path(text)) << text;
  }
}

TEST(UblkControl, SaysWhatToDoWithoutTheKernelsPart) {
  if (access("/dev/ublk-control", F_OK) == 0) GTEST_SKIP() << "this kernel has ublk";
  UblkControl control;
  const auto opened = control.open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ENOTSUP);
  EXPECT_NE(opened.error().message.find("modprobe ublk_drv"), std::string::npos);
  EXPECT_NE(opened.error().message.find("nbdkit"), std::string::npos);
}

}  // namespace
}  // namespace peerlane::attach
