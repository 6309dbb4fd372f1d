#include <gtest/gtest.h>

#include "base/limits.h"
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

constexpr unsigned kMediumOnly = 0x00, kCompare = 0x02, kReserved = 0x04, kCompareOne = 0x06;

FakeCommand verify_10(unsigned flags, unsigned lba, unsigned count) {
  return FakeCommand({0x2f, flags, 0, 0, lba >> 8, lba & 0xff, 0, count >> 8, count & 0xff, 0});
}

class VerifyTest : public testing::UnitTest {};

TEST_F(VerifyTest, MediumOnlyReadsTheBlocks) {
  start();
  auto verify = verify_10(kMediumOnly, 1, 300);
  expect_good(execute(verify));
  ASSERT_FALSE(device->log.empty());
  EXPECT_EQ(device->log.front(), "read 512+65536");
  EXPECT_EQ(verify.transfer_length(), 0u);
  device->read_error = EIO;
  const Completion completion = execute(verify_10(kMediumOnly, 9, 1));
  expect_check(completion, SenseKey::kMediumError, codes::kUnrecoveredReadError);
  EXPECT_EQ(completion.sense->information, 9u);
}

TEST_F(VerifyTest, MediumOnlyIgnoresDataThatComeAllTheSame) {
  start();
  auto verify = verify_10(kMediumOnly, 0, 1);
  verify.sends(repeated(512, 'x'));
  expect_good(execute(verify));
  EXPECT_EQ(verify.received(), 0u);
}

TEST_F(VerifyTest, NoBlocksAreNoWork) {
  start();
  for (const unsigned flags : {kMediumOnly, kCompare, kCompareOne}) expect_good(execute(verify_10(flags, 0, 0)));
  EXPECT_TRUE(device->log.empty());
}

TEST_F(VerifyTest, ComparesEveryByte) {
  start();
  constexpr unsigned kCount = 300;  // more than one piece
  std::vector<std::uint8_t> data(kCount * 512);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i % 255);
  ASSERT_TRUE(testing::run(device->write(512, data, block::WriteFlags::kNone)));
  auto same = verify_10(kCompare | 0x10, 1, kCount);
  same.sends(data);
  expect_good(execute(same));
  EXPECT_EQ(same.transfer_length(), data.size());
  EXPECT_EQ(same.most_buffers(), 1u);
  for (const std::size_t at : {std::size_t{0}, std::size_t{511}, std::size_t{65536}, data.size() - 1}) {
    auto changed = data;
    changed[at] ^= 1;
    auto different = verify_10(kCompare, 1, kCount);
    different.sends(changed);
    const Completion completion = execute(different);
    expect_check(completion, SenseKey::kMiscompare, codes::kMiscompareDuringVerify);
    EXPECT_EQ(completion.sense->information, 1 + at / 512);
  }
}

TEST_F(VerifyTest, ComparesOneBlockWithAll) {
  start();
  fill(4, 200, 0x5a);
  const auto verify = [this](unsigned lba, unsigned count) {
    FakeCommand command({0x8f, kCompareOne, 0, 0, 0, 0, 0, 0, 0, lba, 0, 0, 0, count, 0, 0});
    command.sends(repeated(512, 0x5a));
    const Completion completion = execute(command);
    EXPECT_EQ(command.received(), 512u);
    EXPECT_EQ(command.most_buffers(), 1u);
    return completion;
  };
  expect_good(verify(4, 1));
  expect_good(verify(4, 200));
  const Completion completion = verify(4, 201);
  expect_check(completion, SenseKey::kMiscompare, codes::kMiscompareDuringVerify);
  EXPECT_EQ(completion.sense->information, 204u);
}

TEST_F(VerifyTest, TooFewDataAreNotAMatch) {
  start();
  for (const unsigned flags : {kCompare, kCompareOne}) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{511}}) {
      auto verify = verify_10(flags, 0, 2);
      verify.sends(repeated(size, 0));
      expect_check(execute(verify), SenseKey::kIllegalRequest, codes::kInvalidFieldInCommandInformationUnit);
    }
  }
}

TEST_F(VerifyTest, ReservedByteCheckAndProtectionAreRefused) {
  start();
  expect_invalid_field(execute(verify_10(kReserved, 0, 1)), 1, 2);
  expect_invalid_field(execute(verify_10(0x20, 0, 1)), 1, 5);
}

TEST_F(VerifyTest, AbortedTasksStop) {
  start();
  auto verify = verify_10(kMediumOnly, 0, 0x4000);
  verify.aborted_after(3);
  execute(verify);
  EXPECT_LE(device->log.size(), 3u);
}

FakeCommand write_and_verify_10(unsigned flags, unsigned lba, unsigned count) {
  return FakeCommand({0x2e, flags, 0, 0, lba >> 8, lba & 0xff, 0, count >> 8, count & 0xff, 0});
}

TEST_F(VerifyTest, WriteAndVerifyReadsBackWhatReachedTheMedium) {
  prepare();
  device->claims.volatile_cache = true;
  start();
  for (const unsigned flags : {kMediumOnly, kCompare}) {
    device->log.clear();
    auto command = write_and_verify_10(flags, 1, 2);
    command.sends(repeated(1024, 0x40 + flags));
    expect_good(execute(command));
    EXPECT_EQ(device->log, (std::vector<std::string>{"write 512+1024", "flush", "read 512+1024"}));
    EXPECT_EQ(contents(1, 2), repeated(1024, 0x40 + flags));
    EXPECT_EQ(contents(0, 1), repeated(512, 0));
  }
}

TEST_F(VerifyTest, WriteAndVerifyTellsWhatWentWrong) {
  start();
  expect_invalid_field(execute(write_and_verify_10(kCompareOne, 0, 1)), 1, 2);
  auto part = write_and_verify_10(kMediumOnly, 0, 1);
  part.sends(repeated(200, 1));
  expect_check(execute(part), SenseKey::kIllegalRequest, codes::kInvalidFieldInCommandInformationUnit);
  device->read_error = EIO;
  auto unreadable = write_and_verify_10(kMediumOnly, 5, 1);
  unreadable.sends(repeated(512, 1));
  expect_check(execute(unreadable), SenseKey::kMediumError, codes::kUnrecoveredReadError);
  device->write_error = EIO;
  auto unwritable = write_and_verify_10(kMediumOnly, 5, 1);
  unwritable.sends(repeated(512, 1));
  expect_check(execute(unwritable), SenseKey::kMediumError, codes::kWriteError);
}

}  // namespace
}  // namespace peerlane::target
