// UNMAP and WRITE SAME.

#include <gtest/gtest.h>

#include "base/limits.h"
#include "scsi/unmap.h"
#include "target/testing/unit_fixture.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using scsi::SenseKey;
using testing::expect_check;
using testing::expect_good;
using testing::expect_invalid_field;
using testing::FakeCommand;
using testing::repeated;
using Log = std::vector<std::string>;

class ProvisioningTest : public testing::UnitTest {
 protected:
  Completion unmap(const std::vector<scsi::UnmapRange>& ranges) {
    std::vector<std::uint8_t> list(scsi::kUnmapHeaderBytes + ranges.size() * scsi::kUnmapDescriptorBytes);
    scsi::encode_unmap_list(ranges, list);
    const auto size = static_cast<unsigned>(list.size());
    FakeCommand command({0x42, 0, 0, 0, 0, 0, 0, size >> 8, size & 0xff, 0});
    command.sends(std::move(list));
    return execute(command);
  }
};

// --- UNMAP ---

TEST_F(ProvisioningTest, UnmapUnmapsItsRanges) {
  start();
  fill(0, 64, 0xff);
  expect_good(unmap({{{0}, {8}}, {{32}, {0}}, {{16}, {8}}}));
  EXPECT_EQ(device->log, (Log{"unmap 0+4096", "unmap 8192+4096"}));
  EXPECT_EQ(contents(0, 8), repeated(4096, 0));
  EXPECT_EQ(contents(8, 8), repeated(4096, 0xff));
  EXPECT_EQ(contents(16, 8), repeated(4096, 0));
  expect_good(unmap({}));
  expect_good(unmap({{{kBlocks}, {0}}}));
  expect_good(execute(FakeCommand({0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0})));
}

TEST_F(ProvisioningTest, UnmapChecksEverythingFirst) {
  start();
  expect_check(unmap({{{0}, {8}}, {{kBlocks - 1}, {2}}}), SenseKey::kIllegalRequest, codes::kLbaOutOfRange);
  expect_check(unmap({{{0}, {8}}, {{UINT64_MAX}, {2}}}), SenseKey::kIllegalRequest, codes::kLbaOutOfRange);
  expect_check(unmap(std::vector<scsi::UnmapRange>(limits::kMaxUnmapDescriptors + 1)), SenseKey::kIllegalRequest,
               codes::kInvalidFieldInParameterList);
  expect_good(unmap(std::vector<scsi::UnmapRange>(limits::kMaxUnmapDescriptors)));
  EXPECT_TRUE(device->log.empty());
}

TEST_F(ProvisioningTest, UnmapOfMoreThanIsStatedIsRefused) {
  start();
  // 17 times the whole disk of 65536 blocks is more than 2^20 blocks; 16 times is not.
  const Completion completion = unmap(std::vector<scsi::UnmapRange>(17, {{0}, {kBlocks}}));
  expect_check(completion, SenseKey::kIllegalRequest, codes::kInvalidFieldInParameterList);
  ASSERT_TRUE(completion.sense->field);
  EXPECT_FALSE(completion.sense->field->in_cdb);
  EXPECT_EQ(completion.sense->field->byte, 8 + 16 * 16);
  EXPECT_TRUE(device->log.empty());
  expect_good(unmap(std::vector<scsi::UnmapRange>(16, {{0}, {kBlocks}})));
}

TEST_F(ProvisioningTest, UnmapListsThatAreCutShort) {
  start();
  FakeCommand short_list({0x42, 0, 0, 0, 0, 0, 0, 0, 7, 0});
  short_list.sends(repeated(7, 0));
  expect_check(execute(short_list), SenseKey::kIllegalRequest, codes::kParameterListLengthError);
  FakeCommand short_data({0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0});
  short_data.sends(repeated(8, 0));
  expect_check(execute(short_data), SenseKey::kIllegalRequest, codes::kInvalidFieldInCommandInformationUnit);
  EXPECT_EQ(short_data.received(), 0u);
  expect_invalid_field(execute(FakeCommand({0x42, 1, 0, 0, 0, 0, 0, 0, 8, 0})), 1, 0);  // ANCHOR
}

TEST_F(ProvisioningTest, UnmapErrorsAndDurability) {
  prepare();
  device->claims.volatile_cache = true;
  LogicalUnitOptions options;
  options.write_through = true;
  start(options);
  expect_good(unmap({{{0}, {8}}}));
  EXPECT_EQ(device->log, (Log{"unmap 0+4096", "flush"}));
  device->unmap_error = EIO;
  const Completion completion = unmap({{{4}, {8}}});
  expect_check(completion, SenseKey::kMediumError, codes::kWriteError);
  EXPECT_EQ(completion.sense->information, 4u);
}

TEST_F(ProvisioningTest, ADeviceThatCannotUnmapHasNoUnmap) {
  prepare();
  device->claims.unmap = false;
  start();
  expect_check(unmap({{{0}, {8}}}), SenseKey::kIllegalRequest, codes::kInvalidOperationCode);
  FakeCommand write_same({0x93, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0});
  write_same.sends(repeated(512, 0));
  expect_invalid_field(execute(write_same), 1, 3);
  EXPECT_TRUE(device->log.empty());
}

// --- WRITE SAME ---

FakeCommand write_same_10(unsigned flags, unsigned lba, unsigned count) {
  return FakeCommand({0x41, flags, 0, 0, lba >> 8, lba & 0xff, 0, count >> 8, count & 0xff, 0});
}
FakeCommand write_same_16(unsigned flags, unsigned lba, unsigned count) {
  return FakeCommand({0x93, flags, 0, 0, 0, 0, 0, 0, lba >> 8, lba & 0xff, 0, 0, count >> 8, count & 0xff, 0, 0});
}

TEST_F(ProvisioningTest, WriteSameWritesThePatternEverywhere) {
  start();
  std::vector<std::uint8_t> block(512);
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::uint8_t>(i * 7);
  constexpr unsigned kCount = 1300;  // more than one piece
  auto command = write_same_10(0, 3, kCount);
  command.sends(block);
  expect_good(execute(command));
  EXPECT_EQ(command.transfer_length(), 512u);
  EXPECT_EQ(command.most_buffers(), 1u);
  EXPECT_EQ(device->log.size(), 3u);
  const auto written = contents(3, kCount);
  for (unsigned i = 0; i < kCount; ++i) {
    ASSERT_TRUE(std::equal(block.begin(), block.end(), written.begin() + static_cast<std::ptrdiff_t>(i * 512))) << i;
  }
  EXPECT_EQ(contents(2, 1), repeated(512, 0));
  EXPECT_EQ(contents(3 + kCount, 1), repeated(512, 0));
}

TEST_F(ProvisioningTest, ZeroesGoTheShortWay) {
  start();
  fill(0, 32, 0xff);
  for (const auto& [flags, line] : {std::pair{0x00u, "zero 4096+8192"}, {0x08u, "zero 4096+8192 may-unmap"}}) {
    auto command = write_same_16(flags, 8, 16);
    command.sends(repeated(512, 0));
    expect_good(execute(command));
    EXPECT_EQ(device->log, Log{line});
    EXPECT_EQ(contents(8, 16), repeated(16 * 512, 0));
    EXPECT_EQ(contents(24, 1), repeated(512, 0xff));
    fill(8, 16, 0xff);
  }
  expect_good(execute(write_same_16(0x01, 8, 16)));  // NDOB
  EXPECT_EQ(device->log, Log{"zero 4096+8192"});
}

TEST_F(ProvisioningTest, ZeroesAreWrittenWhereThereIsNoShortWay) {
  prepare();
  device->claims.write_zeroes = false;
  start();
  fill(0, 32, 0xff);
  auto command = write_same_16(0x08, 8, 16);  // UNMAP permits deallocation, it does not demand it
  command.sends(repeated(512, 0));
  expect_good(execute(command));
  EXPECT_EQ(contents(8, 16), repeated(16 * 512, 0));
  EXPECT_EQ(contents(24, 1), repeated(512, 0xff));
}

TEST_F(ProvisioningTest, UnmapWithAPatternWritesThePattern) {
  start();
  auto command = write_same_16(0x08, 0, 4);
  command.sends(repeated(512, 0xa6));
  expect_good(execute(command));
  EXPECT_EQ(contents(0, 4), repeated(4 * 512, 0xa6));
  // But for WRITE SAME(10).
  auto short_form = write_same_10(0x08, 0, 4);
  short_form.sends(repeated(512, 0xa6));
  expect_good(execute(short_form));
  EXPECT_EQ(contents(0, 4), repeated(4 * 512, 0));
}

TEST_F(ProvisioningTest, NoBlocksMeansAllToTheEnd) {
  start();
  fill(kBlocks - 8, 8, 0xff);
  auto command = write_same_16(0x00, kBlocks - 8, 0);
  command.sends(repeated(512, 0));
  expect_good(execute(command));
  EXPECT_EQ(device->log, Log{"zero 33550336+4096"});
  auto past = write_same_16(0x00, 0, 0);
  past.cdb_bytes()[7] = 1;  // LBA 65536 is the end, one more is not
  past.cdb_bytes()[9] = 1;
  past.sends(repeated(512, 0));
  expect_check(execute(past), SenseKey::kIllegalRequest, codes::kLbaOutOfRange);
}

TEST_F(ProvisioningTest, LengthLimitAlsoForAllToTheEnd) {
  prepare_size(limits::kMaxWriteSameBytes + 4096);
  start();
  auto all = write_same_16(0x00, 0, 0);
  all.sends(repeated(512, 0));
  expect_invalid_field(execute(all), 10, std::nullopt);
  auto rest = write_same_16(0x00, 8, 0);
  rest.sends(repeated(512, 0));
  expect_good(execute(rest));
}

TEST_F(ProvisioningTest, DataOutMustBeOneBlock) {
  start();
  for (const std::size_t size : {std::size_t{0}, std::size_t{256}, std::size_t{1024}}) {
    auto command = write_same_10(0, 0, 1);
    command.sends(repeated(size, 1));
    expect_check(execute(command), SenseKey::kIllegalRequest, codes::kInvalidFieldInCommandInformationUnit);
  }
  auto no_data = write_same_16(0x01, 0, 1);
  no_data.sends(repeated(512, 1));
  expect_check(execute(no_data), SenseKey::kIllegalRequest, codes::kInvalidFieldInCommandInformationUnit);
  EXPECT_TRUE(device->log.empty());
}

TEST_F(ProvisioningTest, OptionsThatAreNotOfferedAreRefused) {
  start();
  expect_invalid_field(execute(write_same_10(0x10, 0, 1)), 1, 4);  // ANCHOR
  expect_invalid_field(execute(write_same_16(0x18, 0, 1)), 1, 4);
  expect_invalid_field(execute(write_same_10(0x01, 0, 1)), 1, 0);
  expect_invalid_field(execute(write_same_10(0x20, 0, 1)), 1, 5);  // WRPROTECT
}

TEST_F(ProvisioningTest, WriteSameErrorsAndDurability) {
  prepare();
  device->claims.volatile_cache = true;
  LogicalUnitOptions options;
  options.write_through = true;
  start(options);
  auto zeroes = write_same_10(0, 0, 8);
  zeroes.sends(repeated(512, 0));
  expect_good(execute(zeroes));
  EXPECT_EQ(device->log, (Log{"zero 0+4096", "flush"}));
  device->log.clear();
  device->write_error = ENOSPC;
  auto pattern = write_same_10(0, 0, 8);
  pattern.sends(repeated(512, 1));
  expect_check(execute(pattern), SenseKey::kDataProtect, codes::kSpaceAllocationFailed);
  EXPECT_EQ(device->log, Log{"write 0+4096"});
}

}  // namespace
}  // namespace peerlane::target
