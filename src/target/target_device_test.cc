#include "target/target_device.h"

#include <gtest/gtest.h>

#include "scsi/inquiry.h"
#include "target/testing/unit_fixture.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using scsi::SenseKey;
using testing::expect_check;
using testing::expect_good;
using testing::expect_invalid_field;
using testing::FakeCommand;

constexpr std::uint64_t kMissing = 0x0005'0000'0000'0000;

class TargetDeviceTest : public ::testing::Test {
 protected:
  void add(std::uint16_t lun) {
    LogicalUnitOptions options;
    options.target_name = target.name();
    options.lun = {lun};
    target.add({lun}, std::make_unique<LogicalUnit>(std::make_unique<testing::FaultyDevice>(1u << 20), options));
  }
  void attach() {
    nexus = target.attach({.initiator = "iqn.2026-11.test:i", .isid = 1, .portal_group = 1});
    for (const scsi::Lun lun : nexus->luns()) {
      while (nexus->find(lun)->attentions().take()) {
      }
    }
  }
  Completion execute(std::uint64_t lun_field, FakeCommand& command) {
    return testing::run(target.execute(*nexus, lun_field, command));
  }
  Completion execute(std::uint64_t lun_field, FakeCommand&& command) { return execute(lun_field, command); }

  TargetDevice target{"iqn.2026-11.test:t"};
  std::unique_ptr<Nexus> nexus;
};

TEST_F(TargetDeviceTest, RoutesByLun) {
  add(3);
  add(0);
  add(255);
  attach();
  EXPECT_EQ(target.find(0), &target.unit({0}));
  EXPECT_EQ(target.find(0x0003'0000'0000'0000), &target.unit({3}));
  EXPECT_EQ(target.find(0x4003'0000'0000'0000), &target.unit({3}));
  EXPECT_EQ(target.find(0x00ff'0000'0000'0000), &target.unit({255}));
  EXPECT_EQ(target.find(kMissing), nullptr);
  EXPECT_EQ(target.find(0x4100'0000'0000'0000), nullptr);  // 256: more than there can be
  EXPECT_EQ(target.find(UINT64_MAX), nullptr);
  target.unit({3}).establish(codes::kCapacityChanged, nullptr);
  expect_good(execute(0, FakeCommand({0, 0, 0, 0, 0, 0})));
  expect_check(execute(0x4003'0000'0000'0000, FakeCommand({0, 0, 0, 0, 0, 0})), SenseKey::kUnitAttention,
               codes::kCapacityChanged);
}

TEST_F(TargetDeviceTest, ReportLunsListsAllInOrderWhereverItIsSent) {
  add(3);
  add(0);
  attach();
  for (const std::uint64_t lun_field : {std::uint64_t{0}, std::uint64_t{0x0003'0000'0000'0000}}) {
    FakeCommand command({0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256);
    expect_good(execute(lun_field, command));
    ASSERT_EQ(command.data_in().size(), 24u);
    EXPECT_EQ(scsi::lun_list_entry(command.data_in(), 0), 0u);
    EXPECT_EQ(scsi::lun_list_entry(command.data_in(), 1), 0x0003'0000'0000'0000u);
  }
}

TEST_F(TargetDeviceTest, ReportLunsClearsTheAttentionThatAnnouncedIt) {
  add(0);
  add(1);
  attach();
  for (const scsi::Lun lun : target.luns()) {
    target.unit(lun).establish(codes::kReportedLunsChanged, nullptr);
    target.unit(lun).establish(codes::kCapacityChanged, nullptr);
  }
  expect_good(execute(0, FakeCommand({0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256)));
  for (const scsi::Lun lun : target.luns()) {
    EXPECT_EQ(nexus->find(lun)->attentions().take()->code, codes::kCapacityChanged);
    EXPECT_FALSE(nexus->find(lun)->attentions().pending());
  }
}

TEST_F(TargetDeviceTest, WhereThereIsNoUnit) {
  add(0);
  attach();
  FakeCommand inquiry({0x12, 0, 0, 0, 36, 0}, 255);
  expect_good(execute(kMissing, inquiry));
  EXPECT_EQ(inquiry.data_in().size(), 36u);
  EXPECT_EQ(scsi::decode_inquiry(inquiry.data_in())->peripheral, scsi::kNoLogicalUnit);

  FakeCommand request_sense({0x03, 1, 0, 0, 252, 0}, 252);
  expect_good(execute(kMissing, request_sense));
  EXPECT_EQ(scsi::decode_sense(request_sense.data_in())->code, codes::kLogicalUnitNotSupported);

  FakeCommand vpd({0x12, 1, 0, 0, 255, 0}, 255);
  expect_good(execute(kMissing, vpd));
  EXPECT_EQ(vpd.data_in(), (std::vector<std::uint8_t>{0x7f, 0, 0, 1, 0}));
  expect_invalid_field(execute(kMissing, FakeCommand({0x12, 1, 0x83, 0, 255, 0}, 255)), 2, std::nullopt);
  expect_invalid_field(execute(kMissing, FakeCommand({0x12, 0, 0, 0, 36, 1}, 255)), 5, 0);

  FakeCommand write({0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0});
  write.sends(testing::repeated(512, 0));
  FakeCommand tur({0, 0, 0, 0, 0, 0}), unknown({0xff}), capacity({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 8),
      luns({0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256);
  for (FakeCommand* command : {&write, &tur, &unknown, &capacity, &luns}) {
    expect_check(execute(kMissing, *command), SenseKey::kIllegalRequest, codes::kLogicalUnitNotSupported);
  }
  EXPECT_FALSE(target.descriptor_sense(kMissing));
}

TEST_F(TargetDeviceTest, Lun0AnswersReportLunsEvenIfItIsNone) {
  add(1);
  attach();
  FakeCommand luns({0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256);
  expect_good(execute(0, luns));
  EXPECT_EQ(scsi::lun_list_entry(luns.data_in(), 0), 0x0001'0000'0000'0000u);
  EXPECT_FALSE(scsi::lun_list_entry(luns.data_in(), 1));
  expect_check(execute(0, FakeCommand({0, 0, 0, 0, 0, 0})), SenseKey::kIllegalRequest, codes::kLogicalUnitNotSupported);
}

TEST_F(TargetDeviceTest, ReportLunsWellKnownUnit) {
  add(0);
  add(3);
  attach();
  constexpr std::uint64_t kWellKnown = 0xc101'0000'0000'0000;
  EXPECT_EQ(target.find(kWellKnown), nullptr);  // nothing that task management could be about
  expect_good(execute(kWellKnown, FakeCommand({0, 0, 0, 0, 0, 0})));
  FakeCommand inquiry({0x12, 0, 0, 0, 96, 0}, 255);
  expect_good(execute(kWellKnown, inquiry));
  EXPECT_EQ(inquiry.data_in()[0], 0x1e);
  FakeCommand request_sense({0x03, 0, 0, 0, 252, 0}, 252);
  expect_good(execute(kWellKnown, request_sense));
  EXPECT_EQ(scsi::decode_sense(request_sense.data_in())->key, SenseKey::kNoSense);
  FakeCommand luns({0xa0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256);
  expect_good(execute(kWellKnown, luns));
  EXPECT_EQ(luns.data_in().size(), 32u);
  EXPECT_EQ(scsi::lun_list_entry(luns.data_in(), 2), kWellKnown);

  FakeCommand pages({0x12, 1, 0, 0, 255, 0}, 255);
  expect_good(execute(kWellKnown, pages));
  EXPECT_EQ(pages.data_in(), (std::vector<std::uint8_t>{0x1e, 0, 0, 2, 0, 0x83}));
  FakeCommand identification({0x12, 1, 0x83, 0, 255, 0}, 255);
  expect_good(execute(kWellKnown, identification));
  EXPECT_EQ(identification.data_in()[1], 0x83);
  expect_invalid_field(execute(kWellKnown, FakeCommand({0x12, 1, 0xb0, 0, 255, 0}, 255)), 2, std::nullopt);

  FakeCommand read({0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, 512), capacity({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 8);
  for (FakeCommand* const command : {&read, &capacity}) {
    expect_check(execute(kWellKnown, *command), SenseKey::kIllegalRequest, codes::kInvalidOperationCode);
  }
  for (const std::uint64_t other : {0xc102'0000'0000'0000u, 0xc101'0000'0000'0001u, 0xc1ff'0000'0000'0000u}) {
    expect_check(execute(other, FakeCommand({0, 0, 0, 0, 0, 0})), SenseKey::kIllegalRequest,
                 codes::kLogicalUnitNotSupported);
  }
}

TEST_F(TargetDeviceTest, NexusesComeAndGoWhileTheOthersStay) {
  add(0);
  attach();
  auto second = target.attach({.initiator = "iqn.2026-11.test:j", .isid = 2, .portal_group = 1});
  FakeCommand tur({0, 0, 0, 0, 0, 0});
  expect_check(testing::run(target.execute(*second, 0, tur)), SenseKey::kUnitAttention, codes::kPowerOnOrReset);
  second.reset();
  target.unit({0}).establish(codes::kCapacityChanged, nullptr);
  expect_check(execute(0, tur), SenseKey::kUnitAttention, codes::kCapacityChanged);
}

}  // namespace
}  // namespace peerlane::target
