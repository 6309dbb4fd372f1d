#include "target/logical_unit.h"

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
using testing::FakeView;
using testing::repeated;

FakeCommand test_unit_ready() {
  return FakeCommand{{0x00, 0, 0, 0, 0, 0}};
}
FakeCommand read_10(unsigned lba, unsigned count) {
  return FakeCommand(
      {0x28, 0, lba >> 24 & 0xff, lba >> 16 & 0xff, lba >> 8 & 0xff, lba & 0xff, 0, count >> 8, count & 0xff, 0},
      count * 512);
}

class LogicalUnitTest : public testing::UnitTest {};

// --- Unit attentions ---

TEST_F(LogicalUnitTest, FirstCommandOfANexusIsToldOfThePowerOn) {
  start();
  const auto fresh = unit->attach(view);
  auto command = test_unit_ready();
  expect_check(testing::run(unit->execute(*fresh, command)), SenseKey::kUnitAttention, codes::kPowerOnOrReset);
  expect_good(testing::run(unit->execute(*fresh, command)));
  expect_good(execute(test_unit_ready()));  // the other nexus has its own
}

TEST_F(LogicalUnitTest, InquiryReportLunsAndRequestSenseDoNotWaitForAttentions) {
  start();
  unit->establish(codes::kCapacityChanged, nullptr);
  FakeCommand inquiry({0x12, 0, 0, 0, 96, 0}, 96);
  expect_good(execute(inquiry));
  EXPECT_EQ(inquiry.data_in().size(), 96u);
  expect_good(execute(FakeCommand({0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0}, 64)));
  EXPECT_TRUE(nexus->attentions().pending());
  // REQUEST SENSE gives it, and that is that.
  FakeCommand request_sense({0x03, 0, 0, 0, 252, 0}, 252);
  expect_good(execute(request_sense));
  const auto sense = scsi::decode_sense(request_sense.data_in());
  ASSERT_TRUE(sense);
  EXPECT_EQ(sense->key, SenseKey::kUnitAttention);
  EXPECT_EQ(sense->code, codes::kCapacityChanged);
  expect_good(execute(test_unit_ready()));
}

TEST_F(LogicalUnitTest, AttentionPreventsTheCommandFromDoingAnything) {
  start();
  unit->establish(codes::kCapacityChanged, nullptr);
  FakeCommand write({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0});
  write.sends(repeated(512, 1));
  expect_check(execute(write), SenseKey::kUnitAttention, codes::kCapacityChanged);
  EXPECT_EQ(write.received(), 0u);
  EXPECT_TRUE(device->log.empty());
}

TEST_F(LogicalUnitTest, UnknownCommandDoesNotUseUpAnAttention) {
  start();
  unit->establish(codes::kCapacityChanged, nullptr);
  expect_check(execute(FakeCommand{{0xff, 0, 0, 0, 0, 0}}), SenseKey::kIllegalRequest, codes::kInvalidOperationCode);
  expect_check(execute(test_unit_ready()), SenseKey::kUnitAttention, codes::kCapacityChanged);
}

TEST_F(LogicalUnitTest, EstablishSparesTheNexusThatCausedIt) {
  start();
  const auto other = unit->attach(view);
  while (other->attentions().take()) {
  }
  unit->establish(codes::kModeParametersChanged, nexus.get());
  EXPECT_FALSE(nexus->attentions().pending());
  EXPECT_EQ(other->attentions().take()->code, codes::kModeParametersChanged);
}

TEST_F(LogicalUnitTest, ResetTellsTheOthersAndStartsTheUnit) {
  start();
  const auto other = unit->attach(view);
  unit->set_started(false);
  io::spawn(unit->reset(codes::kBusDeviceReset, nexus.get()));
  EXPECT_TRUE(unit->started());
  expect_good(execute(test_unit_ready()));
  auto command = test_unit_ready();
  expect_check(testing::run(unit->execute(*other, command)), SenseKey::kUnitAttention, codes::kBusDeviceReset);
}

TEST_F(LogicalUnitTest, GrowthIsToldToAllAndUsableAtOnce) {
  start();
  expect_check(execute(read_10(kBlocks, 1)), SenseKey::kIllegalRequest, codes::kLbaOutOfRange);
  EXPECT_FALSE(*unit->check_size());  // the device says that it changed, but it is what it was
  EXPECT_FALSE(nexus->attentions().pending());
  device->shape.size += 512;
  EXPECT_EQ(unit->capacity().value, kBlocks);
  EXPECT_TRUE(*unit->check_size());
  EXPECT_FALSE(*unit->check_size());
  EXPECT_EQ(unit->capacity().value, kBlocks + 1);
  expect_check(execute(test_unit_ready()), SenseKey::kUnitAttention, codes::kCapacityChanged);
  device->resize_error = EIO;
  EXPECT_FALSE(unit->check_size());
}

// --- Checks that all commands share ---

TEST_F(LogicalUnitTest, BitsThatAreNotAllowedArePointedAt) {
  start();
  expect_invalid_field(execute(FakeCommand({0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0}, 512)), 1, 5);  // RDPROTECT 1
  expect_invalid_field(execute(FakeCommand({0x28, 0xe0, 0, 0, 0, 0, 0, 0, 1, 0}, 512)), 1, 7);
  expect_invalid_field(execute(FakeCommand({0x00, 0, 0, 0, 0, 0x01})), 5, 0);  // LINK of older standards
  EXPECT_TRUE(device->log.empty());
}

TEST_F(LogicalUnitTest, AWriteThatTheInitiatorTakesForAReadIsRefused) {
  start();
  expect_check(execute(FakeCommand({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512)), SenseKey::kIllegalRequest,
               codes::kInvalidFieldInCommandInformationUnit);
  FakeCommand both({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512);
  both.sends(repeated(512, 1));
  expect_check(execute(both), SenseKey::kIllegalRequest, codes::kInvalidFieldInCommandInformationUnit);
  EXPECT_TRUE(device->log.empty());
}

TEST_F(LogicalUnitTest, DirectionsThatAreNotUsedDoNoHarm) {
  start();
  FakeCommand read({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0});
  read.sends(repeated(512, 1));
  expect_good(execute(read));
  EXPECT_EQ(read.received(), 0u);
  EXPECT_EQ(read.transfer_length(), 512u);
  expect_good(execute(FakeCommand({0x00, 0, 0, 0, 0, 0}, 512)));
  EXPECT_TRUE(device->log.empty());
}

TEST_F(LogicalUnitTest, RangeChecksAtTheEndOfTheMedium) {
  start();
  expect_good(execute(read_10(kBlocks - 1, 1)));
  expect_good(execute(read_10(kBlocks, 0)));
  for (const auto& [lba, count] :
       {std::pair{65535u, 2u}, {65536u, 1u}, {65537u, 0u}, {0xffffffffu, 0u}, {0x80000000u, 1u}}) {
    expect_check(execute(read_10(lba, count)), SenseKey::kIllegalRequest, codes::kLbaOutOfRange);
  }
  // 2^64 - 1 plus anything must not wrap around.
  expect_check(execute(FakeCommand({0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2, 0, 0}, 1024)),
               SenseKey::kIllegalRequest, codes::kLbaOutOfRange);
}

TEST_F(LogicalUnitTest, TooLongTransfersPointAtTheLength) {
  prepare_size(std::uint64_t{4} << 30);
  start();
  constexpr unsigned kMost = limits::kMaxTransferBytes / 512;
  const auto read_12 = [](unsigned count) {
    return FakeCommand({0xa8, 0, 0, 0, 0, 0, count >> 24, count >> 16 & 0xff, count >> 8 & 0xff, count & 0xff, 0, 0},
                       512);
  };
  expect_invalid_field(execute(read_12(kMost + 1)), 6, std::nullopt);
  expect_good(execute(read_12(kMost)));
  expect_invalid_field(execute(FakeCommand({0x88, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x7f, 0xff, 0xff, 0, 0}, 512)), 10,
                       std::nullopt);
}

TEST_F(LogicalUnitTest, WriteProtectionIsForAllThatWrites) {
  start({.target_name = {}, .lun = {}, .product = {}, .read_only = true});
  FakeCommand write_6({0x0a, 0, 0, 0, 1, 0}), write_10({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0}),
      write_12({0xaa, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}), write_16({0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}),
      write_same_10({0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0}),
      write_same_16({0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0}), unmap({0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0});
  for (FakeCommand* command : {&write_6, &write_10, &write_12, &write_16, &write_same_10, &write_same_16, &unmap}) {
    command->sends(repeated(512, 0));
    expect_check(execute(*command), SenseKey::kDataProtect, codes::kWriteProtected);
  }
  EXPECT_TRUE(device->log.empty());
  expect_good(execute(read_10(0, 1)));
  expect_good(execute(FakeCommand{{0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0}}));
}

TEST_F(LogicalUnitTest, ADeviceThatIsReadOnlyMakesTheUnitSo) {
  prepare();
  device->claims.read_only = true;
  start();
  EXPECT_TRUE(unit->read_only());
}

// --- Identity ---

UnitIdentity identity(std::string target, std::uint16_t lun, std::string stable) {
  auto device = std::make_unique<testing::FaultyDevice>(1u << 20);
  device->stable = std::move(stable);
  const LogicalUnit unit(std::move(device), {.target_name = std::move(target), .lun = {lun}, .product = "x"});
  return unit.identity();
}

TEST(UnitIdentityTest, StaysTheSameAndDependsOnAllOfItsParts) {
  const UnitIdentity one = identity("iqn.a", 0, "disk");
  const UnitIdentity again = identity("iqn.a", 0, "disk");
  EXPECT_EQ(one.naa, again.naa);
  EXPECT_EQ(one.serial, again.serial);
  EXPECT_EQ(one.naa >> 60, 3u);
  EXPECT_EQ(one.serial.size(), 16u);
  for (const UnitIdentity& other : {identity("iqn.b", 0, "disk"), identity("iqn.a", 1, "disk"),
                                    identity("iqn.a", 0, "disc"), identity("iqn.a", 0, "")}) {
    EXPECT_NE(one.naa, other.naa);
    EXPECT_NE(one.serial, other.serial);
  }
}

}  // namespace
}  // namespace peerlane::target
