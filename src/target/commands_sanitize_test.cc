#include <algorithm>
#include <array>
#include <chrono>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "target/testing/fake_state_store.h"
#include "target/testing/unit_fixture.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using scsi::SenseKey;
using testing::executor;
using testing::expect_check;
using testing::expect_good;
using testing::expect_invalid_field;
using testing::FakeCommand;
using testing::repeated;

constexpr unsigned kOverwrite = 0x01, kBlockErase = 0x02, kExitFailureMode = 0x1f, kImmediate = 0x80,
                   kUnrestricted = 0x20;

class SanitizeTest : public testing::UnitTest {
 protected:
  FakeCommand overwrite(unsigned flags, unsigned passes, std::vector<std::uint8_t> pattern) {
    std::vector<std::uint8_t> list{static_cast<std::uint8_t>(passes), 0, 0, 0};
    put_be16(list, 2, static_cast<std::uint16_t>(pattern.size()));
    list.insert(list.end(), pattern.begin(), pattern.end());
    const auto size = static_cast<unsigned>(list.size());
    return FakeCommand({0x48, flags | kOverwrite, 0, 0, 0, 0, 0, size >> 8, size & 0xff, 0}, 0, std::move(list));
  }
  FakeCommand sanitize(unsigned action) { return FakeCommand({0x48, action, 0, 0, 0, 0, 0, 0, 0, 0}); }
  FakeCommand test_unit_ready() { return FakeCommand({0, 0, 0, 0, 0, 0}); }
  scsi::Sense requested_sense() {
    FakeCommand command({0x03, 0, 0, 0, 252, 0}, 252);
    expect_good(execute(command));
    return scsi::decode_sense(command.data_in()).value();
  }
};

TEST_F(SanitizeTest, OverwriteFillsTheDiskWithThePattern) {
  start();
  fill(0, kBlocks, 0x11);
  auto command = overwrite(0, 1, {0xaa, 0xbb, 0xcc});
  const auto began = executor().now();
  expect_good(execute(command));
  EXPECT_GE(executor().now() - began, limits::kSanitizeLeast);
  for (const std::uint64_t lba : {std::uint64_t{0}, kBlocks / 2, kBlocks - 1}) {
    const auto block = contents(lba, 1);
    for (std::size_t i = 0; i < block.size(); ++i) ASSERT_EQ(block[i], (std::array{0xaa, 0xbb, 0xcc})[i % 3]) << lba;
  }
  expect_good(execute(test_unit_ready()));
}

TEST_F(SanitizeTest, EachFurtherPassMayInvert) {
  start();
  expect_good(execute(overwrite(0, 0x82, {0x0f})));
  EXPECT_EQ(contents(kBlocks - 1, 1), repeated(512, 0xf0));
  EXPECT_EQ(std::ranges::count(device->log, "flush"), 3);  // after each pass, and at the end
  expect_good(execute(overwrite(0, 0x83, {0x0f})));
  EXPECT_EQ(contents(kBlocks - 1, 1), repeated(512, 0x0f));
  expect_good(execute(overwrite(0, 0x02, {0x0f})));
  EXPECT_EQ(contents(0, 1), repeated(512, 0x0f));
}

TEST_F(SanitizeTest, BlockEraseUnmapsEverything) {
  start();
  fill(0, kBlocks, 0x11);
  expect_good(execute(sanitize(kBlockErase)));
  EXPECT_EQ(contents(0, 1), repeated(512, 0));
  EXPECT_EQ(contents(kBlocks - 1, 1), repeated(512, 0));
  const auto extents = testing::run(device->allocation(0, kBlocks * 512, 10));
  ASSERT_TRUE(extents && extents->size() == 1);
  EXPECT_FALSE(extents->front().allocated);
}

TEST_F(SanitizeTest, ImmediateStatusThenOnlyWhatIsAllowed) {
  start();
  expect_good(execute(sanitize(kBlockErase | kImmediate)));
  expect_check(execute(test_unit_ready()), SenseKey::kNotReady, codes::kSanitizeInProgress);
  expect_check(execute(FakeCommand({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512)), SenseKey::kNotReady,
               codes::kSanitizeInProgress);
  expect_check(execute(sanitize(kBlockErase)), SenseKey::kNotReady, codes::kSanitizeInProgress);
  expect_check(execute(FakeCommand({0x1b, 0, 0, 0, 0, 0})), SenseKey::kNotReady, codes::kSanitizeInProgress);
  expect_good(execute(FakeCommand({0x12, 0, 0, 0, 96, 0}, 96)));
  expect_good(execute(FakeCommand({0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256)));
  EXPECT_EQ(requested_sense().code, codes::kSanitizeInProgress);
  executor().run_all();
  expect_good(execute(test_unit_ready()));
  EXPECT_EQ(requested_sense().key, SenseKey::kNoSense);
}

TEST_F(SanitizeTest, ProgressGrows) {
  start();
  expect_good(execute(overwrite(kImmediate, 2, {0})));
  unsigned last = 0, steps = 0;
  while (unit->condition().sanitizing()) {
    const unsigned progress = requested_sense().progress.value();
    EXPECT_GE(progress, last);
    steps += progress > last ? 1u : 0u;
    last = progress;
    ASSERT_TRUE(executor().run_one());
  }
  EXPECT_EQ(last, 0xffffu);
  EXPECT_GE(steps, 4u);  // the disk has 32 MiB, and others get their turn every 8
}

TEST_F(SanitizeTest, AnAbortDoesNotEndIt) {
  start();
  auto command = sanitize(kBlockErase);
  std::optional<Completion> result;
  begin(command, result);
  EXPECT_FALSE(result);
  command.aborted_after(0);
  while (!result) ASSERT_TRUE(executor().run_one());
  EXPECT_TRUE(unit->condition().sanitizing());
  io::spawn(unit->reset(codes::kBusDeviceReset, nullptr));
  EXPECT_TRUE(unit->condition().sanitizing());
}

TEST_F(SanitizeTest, WritesThatWaitForTheDiskAreRefused) {
  start();
  std::optional<RangeLock::Pass> inside(std::in_place, unit->ranges(), RangeLock::Mode::kShared, 0u, 512u);
  std::optional<RangeLock::Pass> other(std::in_place, unit->ranges(), RangeLock::Mode::kExclusive, 4096u, 512u);
  FakeCommand write({0x2a, 0, 0, 0, 0, 8, 0, 0, 1, 0});
  write.sends(repeated(512, 1));
  std::optional<Completion> written;
  begin(write, written);
  EXPECT_FALSE(written);
  expect_good(execute(overwrite(kImmediate, 1, {0})));
  while (!written) ASSERT_TRUE(executor().run_one());
  expect_check(*written, SenseKey::kNotReady, codes::kSanitizeInProgress);
  EXPECT_TRUE(device->log.empty()) << "what is inside has to leave first";
  inside.reset();
  other.reset();
  executor().run_all();
  EXPECT_FALSE(unit->condition().any());
  EXPECT_FALSE(device->log.empty());
}

TEST_F(SanitizeTest, FailureInRestrictedModeIsLeftByAnotherOperationOnly) {
  start();
  device->write_error = EIO;
  expect_check(execute(overwrite(0, 1, {0})), SenseKey::kMediumError, codes::kSanitizeCommandFailed);
  expect_check(execute(test_unit_ready()), SenseKey::kMediumError, codes::kSanitizeCommandFailed);
  EXPECT_EQ(requested_sense().code, codes::kSanitizeCommandFailed);
  expect_invalid_field(execute(sanitize(kExitFailureMode)), 1, 4);
  expect_invalid_field(execute(sanitize(kBlockErase | kUnrestricted)), 1, 5);
  device->write_error.reset();
  expect_good(execute(overwrite(0, 1, {0})));
  expect_good(execute(test_unit_ready()));
}

TEST_F(SanitizeTest, FailureInUnrestrictedModeMayBeLeftBehind) {
  start();
  device->unmap_error = EIO;
  expect_check(execute(sanitize(kBlockErase | kUnrestricted)), SenseKey::kMediumError, codes::kSanitizeCommandFailed);
  expect_check(execute(test_unit_ready()), SenseKey::kMediumError, codes::kSanitizeCommandFailed);
  expect_good(execute(sanitize(kExitFailureMode)));
  expect_good(execute(test_unit_ready()));
}

TEST_F(SanitizeTest, FieldsOfTheCdbAndTheListAreChecked) {
  start();
  for (const unsigned action : {kBlockErase, kExitFailureMode}) {
    FakeCommand with_list({0x48, action, 0, 0, 0, 0, 0, 0, 8, 0});
    with_list.sends(repeated(8, 0));
    expect_invalid_field(execute(with_list), 7, std::nullopt);
  }
  for (const unsigned size : {0u, 4u, 517u}) {
    FakeCommand command({0x48, kOverwrite, 0, 0, 0, 0, 0, size >> 8, size & 0xff, 0});
    command.sends(repeated(size, 1));
    expect_invalid_field(execute(command), 7, std::nullopt);
  }
  expect_check(execute(overwrite(0, 0, {0})), SenseKey::kIllegalRequest, codes::kInvalidFieldInParameterList);
  expect_invalid_field(execute(sanitize(kBlockErase | 0x40)), 1, 6);  // ZNR
  expect_invalid_field(execute(sanitize(0x03)), 1, 4);                // CRYPTOGRAPHIC ERASE
  expect_good(execute(sanitize(kExitFailureMode)));
  EXPECT_TRUE(device->log.empty());
}

TEST_F(SanitizeTest, NeedsADiskThatMayBeWrittenAndOneThatCanUnmap) {
  prepare();
  device->claims.unmap = false;
  start();
  expect_check(execute(sanitize(kBlockErase)), SenseKey::kIllegalRequest, codes::kInvalidOperationCode);
  nexus.reset();
  prepare();
  start({.target_name = {}, .lun = {}, .product = {}, .read_only = true});
  expect_check(execute(overwrite(0, 1, {0})), SenseKey::kDataProtect, codes::kWriteProtected);
}

TEST_F(SanitizeTest, TheEndOfTheServiceBreaksItOff) {
  start();
  expect_good(execute(overwrite(kImmediate, 31, {0})));
  EXPECT_FALSE(unit->background().stop(std::chrono::steady_clock::now()));
  const auto began = executor().now();
  executor().run_all();
  EXPECT_LT(executor().now() - began, limits::kSanitizeLeast);
  EXPECT_TRUE(unit->background().stop(std::chrono::steady_clock::now()));
  EXPECT_TRUE(unit->condition().sanitize_failed());
}

class SanitizeRestartTest : public SanitizeTest {
 protected:
  void start_kept() {
    nexus.reset();
    unit.reset();
    prepare();
    LogicalUnitOptions options;
    options.state = &store;
    start(options);
    ASSERT_TRUE(unit->load_state());
  }
  /// As if the service had been killed now: what is kept comes back in a new life, and nothing else.
  void crash() {
    const auto kept = store.kept;
    executor().run_all();
    store.kept = kept;
    start_kept();
  }
  void expect_failed() {
    expect_check(execute(test_unit_ready()), SenseKey::kMediumError, codes::kSanitizeCommandFailed);
  }

  testing::FakeStateStore store;
};

TEST_F(SanitizeRestartTest, OneThatACrashBreaksOffHasFailed) {
  start_kept();
  expect_good(execute(sanitize(kBlockErase | kImmediate)));
  EXPECT_TRUE(unit->condition().sanitizing());
  crash();
  expect_failed();
  expect_check(execute(sanitize(kExitFailureMode)), SenseKey::kIllegalRequest, codes::kInvalidFieldInCdb);
  expect_good(execute(sanitize(kBlockErase)));
  crash();
  expect_good(execute(test_unit_ready()));
}

TEST_F(SanitizeRestartTest, AnUnrestrictedFailureIsLeftForGood) {
  start_kept();
  expect_good(execute(sanitize(kBlockErase | kImmediate | kUnrestricted)));
  crash();
  expect_failed();
  store.save_error = EIO;
  expect_check(execute(sanitize(kExitFailureMode)), SenseKey::kHardwareError, codes::kInternalTargetFailure);
  store.save_error.reset();
  crash();
  expect_failed();
  expect_good(execute(sanitize(kExitFailureMode)));
  crash();
  expect_good(execute(test_unit_ready()));
}

TEST_F(SanitizeRestartTest, WhatCannotBeRecordedIsNotBegun) {
  start_kept();
  fill(0, 8, 0x11);
  store.save_error = EIO;
  expect_check(execute(sanitize(kBlockErase)), SenseKey::kHardwareError, codes::kInternalTargetFailure);
  EXPECT_EQ(contents(0, 8), repeated(8 * 512, 0x11));
}

TEST_F(SanitizeRestartTest, ADamagedRecordIsNotTakenForNone) {
  start_kept();
  expect_good(execute(sanitize(kBlockErase)));
  ASSERT_EQ(store.kept.size(), 1u);
  for (const char* const text : {"", "{}", R"({"version":2,"unfinished":false,"unrestricted":false})",
                                 R"({"version":1,"unfinished":1,"unrestricted":false})"}) {
    store.kept.begin()->second = text;
    EXPECT_FALSE(unit->load_state()) << text;
  }
}

}  // namespace
}  // namespace peerlane::target
