// COMPARE AND WRITE, ORWRITE, WRITE ATOMIC, and how others wait for them.

#include <optional>

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
using Log = std::vector<std::string>;
using Bytes = std::vector<std::uint8_t>;

FakeCommand compare_and_write(unsigned lba, unsigned count, Bytes expected, const Bytes& data, unsigned flags = 0) {
  expected.insert(expected.end(), data.begin(), data.end());
  return FakeCommand({0x89, flags, 0, 0, 0, 0, 0, 0, lba >> 8, lba & 0xff, 0, 0, 0, count, 0, 0}, 0,
                     std::move(expected));
}
FakeCommand or_write(unsigned lba, unsigned count, Bytes data, unsigned flags = 0) {
  return FakeCommand({0x8b, flags, 0, 0, 0, 0, 0, 0, lba >> 8, lba & 0xff, 0, 0, count >> 8, count & 0xff, 0, 0}, 0,
                     std::move(data));
}
FakeCommand write_atomic(unsigned lba, unsigned count, Bytes data) {
  return FakeCommand({0x9c, 0, 0, 0, 0, 0, 0, 0, lba >> 8, lba & 0xff, 0, 0, count >> 8, count & 0xff, 0, 0}, 0,
                     std::move(data));
}

Bytes counting(std::size_t size) {
  Bytes data(size);
  for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::uint8_t>(i % 251);
  return data;
}

class AtomicTest : public testing::UnitTest {};

// --- COMPARE AND WRITE ---

TEST_F(AtomicTest, WritesWhatMatches) {
  start();
  constexpr unsigned kCount = 200;  // more than one piece of comparison
  const Bytes before = counting(kCount * 512);
  ASSERT_TRUE(testing::run(device->write(7 * 512, before, block::WriteFlags::kNone)));
  auto command = compare_and_write(7, kCount, before, repeated(kCount * 512, 0x77));
  expect_good(execute(command));
  EXPECT_EQ(command.transfer_length(), 2u * kCount * 512);
  EXPECT_EQ(command.most_buffers(), 1u);
  EXPECT_EQ(contents(7, kCount), repeated(kCount * 512, 0x77));
  EXPECT_EQ(contents(6, 1), repeated(512, 0));
  EXPECT_EQ(contents(7 + kCount, 1), repeated(512, 0));
}

TEST_F(AtomicTest, AMiscompareTellsTheByteAndChangesNothing) {
  start();
  constexpr unsigned kCount = 200;
  const Bytes before = counting(kCount * 512);
  ASSERT_TRUE(testing::run(device->write(0, before, block::WriteFlags::kNone)));
  for (const std::size_t at : {std::size_t{0}, std::size_t{700}, std::size_t{65536}, before.size() - 1}) {
    auto expected = before;
    expected[at] ^= 0x80;
    const Completion completion = execute(compare_and_write(0, kCount, expected, repeated(kCount * 512, 0x77)));
    expect_check(completion, SenseKey::kMiscompare, codes::kMiscompareDuringVerify);
    EXPECT_EQ(completion.sense->information, at);
    EXPECT_EQ(contents(0, kCount), before);
  }
}

TEST_F(AtomicTest, CompareAndWriteTakesBothHalvesExactly) {
  start();
  expect_good(execute(compare_and_write(0, 0, {}, {})));
  for (const std::size_t size : {std::size_t{0}, std::size_t{512}, std::size_t{1023}, std::size_t{1536}}) {
    expect_invalid_field(execute(compare_and_write(0, 1, repeated(size, 0), {})), 13, std::nullopt);
  }
  EXPECT_TRUE(device->log.empty());
  expect_check(execute(compare_and_write(kBlocks - 1, 2, repeated(1024, 0), repeated(1024, 1))),
               SenseKey::kIllegalRequest, codes::kLbaOutOfRange);
  expect_invalid_field(execute(compare_and_write(0, 1, repeated(512, 0), repeated(512, 1), 0x20)), 1, 5);
}

TEST_F(AtomicTest, CompareAndWriteIsLimitedToWhatABufferHolds) {
  prepare(4096);
  start();
  constexpr unsigned kMost = limits::kMaxCompareBytes / 4096;
  expect_good(execute(compare_and_write(0, kMost, repeated(kMost * 4096, 0), repeated(kMost * 4096, 1))));
  expect_invalid_field(
      execute(compare_and_write(0, kMost + 1, repeated((kMost + 1) * 4096, 0), repeated((kMost + 1) * 4096, 1))), 13,
      std::nullopt);
}

TEST_F(AtomicTest, ForceUnitAccessReachesTheMedium) {
  prepare();
  device->claims.volatile_cache = true;
  start();
  expect_good(execute(compare_and_write(0, 1, repeated(512, 0), repeated(512, 1))));
  EXPECT_EQ(device->log, (Log{"read 0+512", "write 0+512"}));
  device->log.clear();
  expect_good(execute(compare_and_write(0, 1, repeated(512, 1), repeated(512, 2), 0x08)));
  EXPECT_EQ(device->log, (Log{"read 0+512", "write 0+512", "flush"}));
}

TEST_F(AtomicTest, ErrorsOfTheDisk) {
  start();
  device->read_error = EIO;
  const Completion unreadable = execute(compare_and_write(3, 1, repeated(512, 0), repeated(512, 1)));
  expect_check(unreadable, SenseKey::kMediumError, codes::kUnrecoveredReadError);
  EXPECT_EQ(unreadable.sense->information, 3u);
  device->read_error.reset();
  device->write_error = EIO;
  const Completion unwritable = execute(compare_and_write(3, 1, repeated(512, 0), repeated(512, 1)));
  expect_check(unwritable, SenseKey::kMediumError, codes::kWriteError);
  EXPECT_EQ(unwritable.sense->information, 3u);
}

// --- ORWRITE ---

TEST_F(AtomicTest, OrWriteSetsBits) {
  start();
  constexpr unsigned kCount = 300;  // more than one piece
  fill(2, kCount, 0x0f);
  auto command = or_write(2, kCount, repeated(kCount * 512, 0x31));
  expect_good(execute(command));
  EXPECT_EQ(command.transfer_length(), kCount * 512u);
  EXPECT_EQ(command.most_buffers(), 1u);
  EXPECT_EQ(contents(2, kCount), repeated(kCount * 512, 0x3f));
  EXPECT_EQ(contents(1, 1), repeated(512, 0));
  EXPECT_EQ(contents(2 + kCount, 1), repeated(512, 0));
}

TEST_F(AtomicTest, OrWriteNeedsAllItsData) {
  start();
  expect_check(execute(or_write(0, 2, repeated(512, 1))), SenseKey::kIllegalRequest,
               codes::kInvalidFieldInCommandInformationUnit);
  expect_invalid_field(execute(or_write(0, 1, repeated(512, 1), 0x20)), 1, 5);
  expect_good(execute(or_write(0, 0, {})));
  EXPECT_TRUE(device->log.empty());
}

// --- WRITE ATOMIC ---

TEST_F(AtomicTest, WriteAtomicIsOneWrite) {
  start();
  const Bytes data = counting(limits::kMaxAtomicBytes);
  constexpr unsigned kCount = limits::kMaxAtomicBytes / 512;
  expect_good(execute(write_atomic(1, kCount, data)));
  EXPECT_EQ(device->log, Log{"write 512+1048576"});
  EXPECT_EQ(contents(1, kCount), data);
  expect_invalid_field(execute(write_atomic(1, kCount + 1, repeated(std::size_t{kCount + 1} * 512, 0))), 12,
                       std::nullopt);
  expect_good(execute(write_atomic(1, 0, {})));
}

TEST_F(AtomicTest, ADiskThatCannotWriteAtomicallyHasNoSuchCommand) {
  prepare();
  device->claims.atomic_write = false;
  start();
  expect_check(execute(write_atomic(0, 1, repeated(512, 1))), SenseKey::kIllegalRequest, codes::kInvalidOperationCode);
}

// --- Waiting ---

TEST_F(AtomicTest, OthersWaitForBlocksThatSomebodyHasForHimself) {
  start();
  std::optional<RangeLock::Pass> held(std::in_place, unit->ranges(), RangeLock::Mode::kExclusive, 0u, 4096u);
  ASSERT_TRUE(held->granted());
  FakeCommand write({0x2a, 0, 0, 0, 0, 7, 0, 0, 2, 0}), read({0x28, 0, 0, 0, 0, 7, 0, 0, 1, 0}, 512);
  FakeCommand beside({0x28, 0, 0, 0, 0, 8, 0, 0, 1, 0}, 512);
  write.sends(repeated(1024, 1));
  auto atomic = compare_and_write(7, 1, repeated(512, 0), repeated(512, 2));
  std::optional<Completion> written, read_result, compared, read_beside;
  begin(write, written);
  begin(read, read_result);
  begin(atomic, compared);
  begin(beside, read_beside);
  for (int i = 0; i < 1000; ++i) testing::executor().run_one();
  EXPECT_FALSE(written || read_result || compared);
  EXPECT_TRUE(read_beside);
  EXPECT_EQ(device->log, Log{"read 4096+512"});
  held.reset();
  testing::executor().run_all();
  ASSERT_TRUE(written && read_result && compared);
  expect_good(*written);
  expect_good(*read_result);
  // It came after the write, and so finds what that wrote.
  expect_check(*compared, SenseKey::kMiscompare, codes::kMiscompareDuringVerify);
}

TEST_F(AtomicTest, AnAbortedCommandDoesNotWaitAnyLonger) {
  start();
  RangeLock::Pass held(unit->ranges(), RangeLock::Mode::kExclusive, 0u, 4096u);
  ASSERT_TRUE(held.granted());
  FakeCommand write({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0});
  write.sends(repeated(512, 1));
  std::optional<Completion> written;
  begin(write, written);
  testing::executor().run_one();
  EXPECT_FALSE(written);
  write.aborted_after(0);
  testing::executor().run_all();
  EXPECT_TRUE(written);
  EXPECT_TRUE(device->log.empty());
}

}  // namespace
}  // namespace peerlane::target
