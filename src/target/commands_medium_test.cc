// READ, WRITE, SYNCHRONIZE CACHE, PRE-FETCH and START STOP UNIT.

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

class MediumTest : public testing::UnitTest {
 protected:
  void start_with_cache(bool fua, LogicalUnitOptions options = {}) {
    prepare();
    device->claims.volatile_cache = true;
    device->claims.fua = fua;
    start(options);
  }
};

LogicalUnitOptions write_through() {
  LogicalUnitOptions options;
  options.write_through = true;
  return options;
}

// --- READ ---

TEST_F(MediumTest, EveryFormOfReadReadsItsBlocks) {
  start();
  fill(0x1234, 1, 0x11);
  fill(0x1235, 1, 0x22);
  auto expected = repeated(512, 0x11);
  expected.resize(1024, 0x22);
  FakeCommand read_6({0x08, 0, 0x12, 0x34, 2, 0}, 1024), read_10({0x28, 0x18, 0, 0, 0x12, 0x34, 0, 0, 2, 0}, 1024),
      read_12({0xa8, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 2, 0, 0}, 1024),
      read_16({0x88, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0, 0, 0, 2, 0, 0}, 1024);
  for (FakeCommand* command : {&read_6, &read_10, &read_12, &read_16}) {
    expect_good(execute(*command));
    EXPECT_EQ(command->data_in(), expected);
    EXPECT_EQ(command->transfer_length(), 1024u);
  }
}

TEST_F(MediumTest, SixByteLengthZeroIs256Blocks) {
  start();
  FakeCommand read({0x08, 0, 0, 0, 0, 0}, 256 * 512);
  expect_good(execute(read));
  EXPECT_EQ(read.data_in().size(), 256u * 512);
  FakeCommand write({0x0a, 0, 0, 0, 0, 0});
  write.sends(repeated(256 * 512, 0x33));
  expect_good(execute(write));
  EXPECT_EQ(contents(0, 257)[255 * 512], 0x33);
  EXPECT_EQ(contents(0, 257)[256 * 512], 0x00);
}

TEST_F(MediumTest, LargeReadsGoInPiecesInOrder) {
  start();
  constexpr unsigned kBlocksRead = 0x1201;  // no multiple of a piece
  std::vector<std::uint8_t> expected;
  for (unsigned i = 0; i < kBlocksRead; ++i) expected.resize(expected.size() + 512, static_cast<std::uint8_t>(i % 251));
  ASSERT_TRUE(testing::run(device->write(512, expected, block::WriteFlags::kNone)));
  device->log.clear();
  FakeCommand read({0x28, 0, 0, 0, 0, 1, 0, 0x12, 0x01, 0}, kBlocksRead * 512);
  expect_good(execute(read));
  EXPECT_EQ(read.data_in(), expected);
  EXPECT_EQ(device->log.size(), (expected.size() + limits::kOptimalTransferBytes - 1) / limits::kOptimalTransferBytes);
  EXPECT_EQ(read.most_buffers(), 1u);
}

// The residual count is the transport's; here only what is read and stated counts.
TEST_F(MediumTest, ReadWithRoomForLessReadsNoMoreThanIsNeeded) {
  start();
  FakeCommand partial({0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0}, 200);
  expect_good(execute(partial));
  EXPECT_EQ(partial.transfer_length(), 1024u);
  EXPECT_EQ(device->log, Log{"read 0+512"});
  device->log.clear();
  FakeCommand nothing({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 0);
  expect_good(execute(nothing));
  EXPECT_EQ(nothing.transfer_length(), 512u);
  EXPECT_TRUE(nothing.data_in().empty());
  EXPECT_TRUE(device->log.empty());
  FakeCommand more({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 10000);
  expect_good(execute(more));
  EXPECT_EQ(more.transfer_length(), 512u);
  EXPECT_EQ(more.data_in().size(), 512u);
}

TEST_F(MediumTest, ReadOfNoBlocksReadsNothing) {
  start();
  FakeCommand read({0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 512);
  expect_good(execute(read));
  EXPECT_EQ(read.transfer_length(), 0u);
  EXPECT_TRUE(device->log.empty());
}

TEST_F(MediumTest, ForcedReadFlushesAVolatileCacheFirst) {
  start_with_cache(false);
  expect_good(execute(FakeCommand({0x28, 0x08, 0, 0, 0, 0, 0, 0, 1, 0}, 512)));
  EXPECT_EQ(device->log, (Log{"flush", "read 0+512"}));
}

TEST_F(MediumTest, ReadErrorTellsWhereAndHowMuchWasSent) {
  start();
  device->read_error = EIO;
  device->successes = 1;
  constexpr unsigned kPieceBlocks = limits::kOptimalTransferBytes / 512;
  FakeCommand read({0x28, 0, 0, 0, 0, 7, 0, 0x04, 0x00, 0}, 0x400 * 512);
  const Completion completion = execute(read);
  expect_check(completion, SenseKey::kMediumError, codes::kUnrecoveredReadError);
  EXPECT_EQ(completion.sense->information, 7 + kPieceBlocks);
  EXPECT_EQ(read.transfer_length(), limits::kOptimalTransferBytes);
  EXPECT_EQ(read.data_in().size(), limits::kOptimalTransferBytes);
}

TEST_F(MediumTest, ReadsOfDisksWithLargeBlocks) {
  prepare(4096);
  start();
  fill(3, 1, 0x77);
  FakeCommand read({0x28, 0, 0, 0, 0, 3, 0, 0, 1, 0}, 4096);
  expect_good(execute(read));
  EXPECT_EQ(read.data_in(), repeated(4096, 0x77));
}

// --- WRITE ---

TEST_F(MediumTest, EveryFormOfWriteWritesItsBlocks) {
  start();
  FakeCommand write_6({0x0a, 0, 0, 8, 2, 0}), write_10({0x2a, 0x10, 0, 0, 0, 8, 0, 0, 2, 0}),
      write_12({0xaa, 0, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0}), write_16({0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2, 0, 0});
  unsigned value = 1;
  for (FakeCommand* command : {&write_6, &write_10, &write_12, &write_16}) {
    command->sends(repeated(1024, value));
    expect_good(execute(*command));
    EXPECT_EQ(contents(8, 2), repeated(1024, value));
    EXPECT_EQ(contents(10, 1), repeated(512, 0));
    EXPECT_EQ(device->log, Log{"write 4096+1024"});
    device->log.clear();
    ++value;
  }
}

TEST_F(MediumTest, OnlyWhatIsSentIsWritten) {
  start();
  fill(0, 3, 'a');
  FakeCommand less({0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0});
  less.sends(repeated(512, 'b'));
  expect_good(execute(less));
  EXPECT_EQ(less.transfer_length(), 1024u);
  EXPECT_EQ(contents(0, 1), repeated(512, 'b'));
  EXPECT_EQ(contents(1, 1), repeated(512, 'a'));

  FakeCommand more({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0});
  more.sends(repeated(1024, 'c'));
  expect_good(execute(more));
  EXPECT_EQ(more.received(), 512u);
  EXPECT_EQ(contents(0, 1), repeated(512, 'c'));
  EXPECT_EQ(contents(1, 1), repeated(512, 'a'));

  FakeCommand nothing({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0});
  expect_good(execute(nothing));
  EXPECT_EQ(nothing.transfer_length(), 512u);
  EXPECT_EQ(contents(0, 1), repeated(512, 'c'));
}

TEST_F(MediumTest, APartOfABlockLeavesTheRestOfItAsItIs) {
  start();
  fill(0, 4, 'a');
  for (const std::size_t size : {std::size_t{200}, std::size_t{512 + 200}}) {
    FakeCommand write({0x2a, 0, 0, 0, 0, 1, 0, 0, 2, 0});
    write.sends(repeated(size, 'b'));
    expect_good(execute(write));
    EXPECT_EQ(write.transfer_length(), 1024u);
    EXPECT_EQ(write.received(), size);
    auto expected = repeated(4 * 512, 'a');
    std::fill_n(expected.begin() + 512, size, std::uint8_t{'b'});
    EXPECT_EQ(contents(0, 4), expected);
  }
  device->read_error = EIO;
  FakeCommand write({0x2a, 0, 0, 0, 0, 1, 0, 0, 2, 0});
  write.sends(repeated(512 + 200, 'c'));
  const Completion completion = execute(write);
  expect_check(completion, SenseKey::kMediumError, codes::kUnrecoveredReadError);
  EXPECT_EQ(completion.sense->information, 2u);
}

TEST_F(MediumTest, LargeWritesGoInPieces) {
  start();
  std::vector<std::uint8_t> data(5 * limits::kMaxBufferBytes / 2);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::uint8_t>(i / 512 % 253);
  const unsigned blocks = static_cast<unsigned>(data.size() / 512);
  FakeCommand write({0x2a, 0, 0, 0, 0, 2, 0, blocks >> 8, blocks & 0xff, 0});
  write.sends(data);
  expect_good(execute(write));
  EXPECT_EQ(device->log, (Log{"write 1024+1048576", "write 1049600+1048576", "write 2098176+524288"}));
  EXPECT_EQ(contents(2, blocks), data);
  EXPECT_EQ(write.most_buffers(), 1u);
}

TEST_F(MediumTest, DurabilityOfWrites) {
  const auto log_of = [this](unsigned flags) {
    FakeCommand write({0x2a, flags, 0, 0, 0, 0, 0, 0, 1, 0});
    write.sends(repeated(512, 1));
    expect_good(execute(write));
    return std::exchange(device->log, {});
  };
  start();  // nothing can be lost, so there is nothing to flush
  EXPECT_EQ(log_of(0x08), Log{"write 0+512"});
  EXPECT_FALSE(unit->write_cache());
  nexus.reset();

  start_with_cache(false);
  EXPECT_TRUE(unit->write_cache());
  EXPECT_EQ(log_of(0x00), Log{"write 0+512"});
  EXPECT_EQ(log_of(0x10), Log{"write 0+512"});
  EXPECT_EQ(log_of(0x08), (Log{"write 0+512", "flush"}));
  nexus.reset();

  start_with_cache(true);
  EXPECT_EQ(log_of(0x08), Log{"write 0+512 fua"});
  EXPECT_EQ(log_of(0x00), Log{"write 0+512"});
  nexus.reset();

  start_with_cache(false, write_through());
  EXPECT_FALSE(unit->write_cache());
  EXPECT_EQ(log_of(0x00), (Log{"write 0+512", "flush"}));
  nexus.reset();

  start_with_cache(true, write_through());
  EXPECT_EQ(log_of(0x00), Log{"write 0+512 fua"});
}

TEST_F(MediumTest, AForcedWriteWhoseFlushFailsIsNotGood) {
  start_with_cache(false);
  device->flush_error = EIO;
  FakeCommand write({0x2a, 0x08, 0, 0, 0, 0, 0, 0, 1, 0});
  write.sends(repeated(512, 1));
  expect_check(execute(write), SenseKey::kMediumError, codes::kWriteError);
}

TEST_F(MediumTest, ErrorsOfTheDiskBecomeSenseData) {
  start();
  const auto completion_for = [this](int error) {
    device->write_error = error;
    FakeCommand write({0x2a, 0, 0, 0, 0, 5, 0, 0, 1, 0});
    write.sends(repeated(512, 1));
    return execute(write);
  };
  const Completion medium = completion_for(EIO);
  expect_check(medium, SenseKey::kMediumError, codes::kWriteError);
  EXPECT_EQ(medium.sense->information, 5u);
  expect_check(completion_for(ENOSPC), SenseKey::kDataProtect, codes::kSpaceAllocationFailed);
  expect_check(completion_for(EROFS), SenseKey::kDataProtect, codes::kWriteProtected);
  expect_check(completion_for(ENXIO), SenseKey::kHardwareError, codes::kInternalTargetFailure);
  EXPECT_EQ(completion_for(ENOMEM).status, scsi::Status::kBusy);
  EXPECT_EQ(completion_for(EAGAIN).status, scsi::Status::kBusy);
}

TEST_F(MediumTest, AbortedTasksStop) {
  start();
  FakeCommand read({0x28, 0, 0, 0, 0, 0, 0, 0x10, 0, 0}, 4096 * 512);
  read.aborted_after(2);
  execute(read);
  EXPECT_LE(device->log.size(), 2u);
  EXPECT_LE(read.data_in().size(), limits::kOptimalTransferBytes);
  device->log.clear();
  FakeCommand write({0x2a, 0, 0, 0, 0, 0, 0, 0x10, 0, 0});
  write.sends(repeated(4096 * 512, 1)).aborted_after(1);
  execute(write);
  EXPECT_TRUE(device->log.empty());  // received, but no longer wanted
}

TEST_F(MediumTest, MediumIsBusyWhileAnAbortedWriteIsStillOut) {
  start();
  unit->orphan_begins();
  EXPECT_EQ(execute(FakeCommand({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512)).status, scsi::Status::kBusy);
  FakeCommand unmap({0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0});
  unmap.sends(repeated(8, 0));
  EXPECT_EQ(execute(unmap).status, scsi::Status::kBusy);
  expect_good(execute(FakeCommand({0x12, 0, 0, 0, 96, 0}, 96)));
  unit->orphan_ended();
  expect_good(execute(FakeCommand({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512)));
}

// --- SYNCHRONIZE CACHE, START STOP UNIT ---

TEST_F(MediumTest, SynchronizeCacheFlushesBeforeItsStatus) {
  start_with_cache(false);
  FakeCommand ten({0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0}), range({0x35, 0, 0, 0, 0, 1, 0, 0, 8, 0}),
      sixteen({0x91, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  for (FakeCommand* command : {&ten, &range, &sixteen}) {
    expect_good(execute(*command));
    EXPECT_EQ(device->log, Log{"flush"});
    device->log.clear();
  }
  expect_check(execute(FakeCommand({0x91, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0})), SenseKey::kIllegalRequest,
               codes::kLbaOutOfRange);
  device->flush_error = EIO;
  expect_check(execute(ten), SenseKey::kMediumError, codes::kWriteError);
}

TEST_F(MediumTest, ALaterCommandTellsOfAFlushThatFailedAfterItsStatus) {
  start_with_cache(false);
  FakeCommand immediate({0x35, 2, 0, 0, 0, 0, 0, 0, 0, 0});
  expect_good(execute(immediate));
  EXPECT_EQ(device->log, Log{"flush"});
  device->flush_error = EIO;
  expect_good(execute(immediate));
  expect_good(execute(FakeCommand({0x12, 0, 0, 0, 96, 0}, 96)));
  const Completion completion = execute(FakeCommand({0, 0, 0, 0, 0, 0}));
  expect_check(completion, SenseKey::kMediumError, codes::kWriteError);
  EXPECT_TRUE(completion.sense->deferred);
  EXPECT_FALSE(completion.sense->information);
  expect_good(execute(FakeCommand({0, 0, 0, 0, 0, 0})));
}

// --- PRE-FETCH and others ---

TEST_F(MediumTest, PreFetchReadsWhatMayStayInMemory) {
  prepare();
  start();
  for (const unsigned immediate : {0u, 2u}) {
    device->log.clear();
    EXPECT_EQ(execute(FakeCommand({0x34, immediate, 0, 0, 0, 3, 0, 0, 2, 0})).status, scsi::Status::kConditionMet);
    testing::executor().run_all();
    EXPECT_EQ(device->log, Log{"read 1536+1024"});
  }
  EXPECT_EQ(execute(FakeCommand({0x90, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0})).status,
            scsi::Status::kConditionMet);
  // Whether the blocks can be read is found out when they are.
  device->read_error = EIO;
  EXPECT_EQ(execute(FakeCommand({0x34, 0, 0, 0, 0, 3, 0, 0, 2, 0})).status, scsi::Status::kConditionMet);
  expect_check(execute(FakeCommand({0x34, 0, 0, 1, 0, 0, 0, 0, 1, 0})), SenseKey::kIllegalRequest,
               codes::kLbaOutOfRange);
}

TEST_F(MediumTest, PreFetchOfMoreThanFitsDoesNothing) {
  prepare_size(limits::kMaxPrefetchBytes + 512);
  start();
  expect_good(execute(FakeCommand({0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0})));  // to the end
  EXPECT_TRUE(device->log.empty());
  nexus.reset();
  prepare();
  device->claims.prefetch = false;
  start();
  expect_good(execute(FakeCommand({0x34, 0, 0, 0, 0, 0, 0, 0, 1, 0})));
  EXPECT_TRUE(device->log.empty());
}

TEST_F(MediumTest, NoDefectsAndNothingToRemove) {
  start();
  FakeCommand ten({0x37, 0, 0x0d, 0, 0, 0, 0, 0, 255, 0}, 255);
  expect_good(execute(ten));
  EXPECT_EQ(ten.data_in(), (std::vector<std::uint8_t>{0, 0x0d, 0, 0}));
  FakeCommand twelve({0xb7, 0x18, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0}, 255);
  expect_good(execute(twelve));
  EXPECT_EQ(twelve.data_in(), (std::vector<std::uint8_t>{0, 0x18, 0, 0, 0, 0}));
  expect_good(execute(FakeCommand({0x1e, 0, 0, 0, 1, 0})));
  expect_good(execute(FakeCommand({0x1e, 0, 0, 0, 0, 0})));
  expect_invalid_field(execute(FakeCommand({0x1e, 0, 0, 0, 2, 0})), 4, 1);
}

// --- CDBs of 32 bytes ---

FakeCommand long_cdb(unsigned action, unsigned flags, unsigned lba, unsigned count, std::uint32_t data_in = 0,
                     std::vector<std::uint8_t> data_out = {}) {
  return FakeCommand({0x7f, 0, 0, 0,   0, 0, 0, 0x18, 0, action, flags, 0, 0, 0, 0, 0,
                      0,    0, 0, lba, 0, 0, 0, 0,    0, 0,      0,     0, 0, 0, 0, count},
                     data_in, std::move(data_out));
}

TEST_F(MediumTest, LongFormsDoWhatTheShortOnesDo) {
  prepare_size(2 * limits::kMaxTransferBytes);
  start();
  expect_good(execute(long_cdb(0x0b, 0, 5, 2, 0, repeated(1024, 0x5a))));  // WRITE
  EXPECT_EQ(contents(5, 2), repeated(1024, 0x5a));
  auto read = long_cdb(0x09, 0x18, 5, 1, 512);
  expect_good(execute(read));
  EXPECT_EQ(read.data_in(), repeated(512, 0x5a));
  expect_good(execute(long_cdb(0x0a, 0x02, 5, 2, 0, repeated(1024, 0x5a))));  // VERIFY
  const Completion different = execute(long_cdb(0x0a, 0x06, 5, 3, 0, repeated(512, 0x5a)));
  expect_check(different, SenseKey::kMiscompare, codes::kMiscompareDuringVerify);
  EXPECT_EQ(different.sense->information, 7u);
  expect_good(execute(long_cdb(0x0c, 0x02, 6, 1, 0, repeated(512, 0x33))));  // WRITE AND VERIFY
  expect_good(execute(long_cdb(0x0d, 0x01, 8, 4)));                          // WRITE SAME, NDOB
  expect_good(execute(long_cdb(0x0d, 0x00, 7, 1, 0, repeated(512, 0x44))));
  EXPECT_EQ(contents(6, 2).front(), 0x33);
  EXPECT_EQ(contents(6, 2).back(), 0x44);
  expect_invalid_field(execute(long_cdb(0x09, 0x20, 5, 1, 512)), 10, 5);  // RDPROTECT
  auto far = long_cdb(0x09, 0, 5, 1, 512);
  far.cdb_bytes()[14] = 1;
  expect_check(execute(far), SenseKey::kIllegalRequest, codes::kLbaOutOfRange);
  auto huge = long_cdb(0x09, 0, 5, 1, 512);
  huge.cdb_bytes()[29] = 1;  // 65537 blocks
  expect_invalid_field(execute(huge), 28, std::nullopt);
}

TEST_F(MediumTest, LongWorkOnADiskThatAnswersAtOnceLetsOthersIn) {
  prepare_size(64u << 20);
  start();
  const auto turns = [this](FakeCommand&& command) {
    const unsigned before = testing::executor().posts();
    expect_good(execute(command));
    return testing::executor().posts() - before;
  };
  const std::uint64_t few = (48u << 20) / limits::kTurnBytes - 1;
  EXPECT_GE(turns(FakeCommand({0x2f, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0})), 2u);                     // VERIFY
  EXPECT_GE(turns(FakeCommand({0xaf, 0, 0, 0, 0, 0, 0, 1, 0x80, 0, 0, 0})), few);              // VERIFY(12)
  EXPECT_GE(turns(FakeCommand({0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, repeated(512, 1))), few);  // WRITE SAME
  EXPECT_GE(turns(FakeCommand({0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 0, repeated(512, 0))), few);
  EXPECT_GE(turns(FakeCommand({0xa8, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}, 32u << 20)), 3u);  // READ
  EXPECT_EQ(turns(FakeCommand({0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0}, 4096)), 0u);
}

FakeCommand start_stop(unsigned flags) {
  return FakeCommand({0x1b, 0, 0, 0, flags, 0});
}

TEST_F(MediumTest, AStoppedUnitIsNotReadyUntilItIsStarted) {
  start_with_cache(false);
  expect_good(execute(start_stop(0x00)));
  EXPECT_EQ(device->log, Log{"flush"});
  device->log.clear();
  expect_check(execute(FakeCommand({0, 0, 0, 0, 0, 0})), SenseKey::kNotReady, codes::kInitializingCommandRequired);
  expect_check(execute(FakeCommand({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512)), SenseKey::kNotReady,
               codes::kInitializingCommandRequired);
  FakeCommand request_sense({0x03, 0, 0, 0, 18, 0}, 18);
  expect_good(execute(request_sense));
  EXPECT_EQ(scsi::decode_sense(request_sense.data_in())->code, codes::kInitializingCommandRequired);
  expect_good(execute(FakeCommand({0x12, 0, 0, 0, 96, 0}, 96)));
  EXPECT_TRUE(device->log.empty());
  expect_good(execute(start_stop(0x01)));
  expect_good(execute(FakeCommand({0, 0, 0, 0, 0, 0})));
  expect_good(execute(start_stop(0x04)));  // NO_FLUSH
  EXPECT_TRUE(device->log.empty());
  EXPECT_FALSE(unit->started());
}

TEST_F(MediumTest, StopThatCannotFlushDoesNotStop) {
  start_with_cache(false);
  device->flush_error = EIO;
  expect_check(execute(start_stop(0x00)), SenseKey::kMediumError, codes::kWriteError);
  EXPECT_TRUE(unit->started());
}

TEST_F(MediumTest, EjectAndPowerConditionsAreRefused) {
  start();
  expect_invalid_field(execute(start_stop(0x02)), 4, 1);
  expect_invalid_field(execute(start_stop(0x03)), 4, 1);
  expect_invalid_field(execute(start_stop(0x30)), 4, 7);
  EXPECT_TRUE(unit->started());
}

}  // namespace
}  // namespace peerlane::target
