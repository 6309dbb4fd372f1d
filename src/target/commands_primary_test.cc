// Commands that tell what the unit is: INQUIRY, REQUEST SENSE, REPORT LUNS, READ CAPACITY, REPORT SUPPORTED OPERATION
// CODES and TASK MANAGEMENT FUNCTIONS.

#include <algorithm>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "scsi/capacity.h"
#include "scsi/disk_place.h"
#include "scsi/inquiry.h"
#include "scsi/supported_functions.h"
#include "scsi/supported_opcodes.h"
#include "scsi/vpd.h"
#include "target/command_checks.h"
#include "target/command_table.h"
#include "target/testing/unit_fixture.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;
using scsi::SenseKey;
using testing::expect_check;
using testing::expect_good;
using testing::expect_invalid_field;
using testing::FakeCommand;

class PrimaryTest : public testing::UnitTest {
 protected:
  std::vector<std::uint8_t> answer(FakeCommand&& command) {
    expect_good(execute(command));
    return command.data_in();
  }
  std::vector<const CommandDescription*> offered() const {
    std::vector<const CommandDescription*> rows;
    for (const CommandDescription& row : command_table()) {
      if (offers(*unit, row)) rows.push_back(&row);
    }
    return rows;
  }
  /// Those with long CDBs are not in the list of all commands.
  std::size_t listed() const {
    const auto rows = offered();
    return static_cast<std::size_t>(
        std::ranges::count_if(rows, [](const CommandDescription* row) { return row->cdb_length() <= 16; }));
  }
  std::vector<std::uint8_t> vpd(unsigned page) { return answer(FakeCommand({0x12, 1, page, 8, 0, 0}, 2048)); }
};

// --- INQUIRY ---

TEST_F(PrimaryTest, StandardInquiry) {
  LogicalUnitOptions options;
  options.product = "scratch";
  start(options);
  const auto data = answer(FakeCommand({0x12, 0, 0, 1, 4, 0}, 260));
  ASSERT_EQ(data.size(), 96u);
  const auto inquiry = scsi::decode_inquiry(data);
  EXPECT_EQ(inquiry->peripheral, scsi::Peripheral{});
  EXPECT_EQ(inquiry->vendor, "PEERLANE");
  EXPECT_EQ(inquiry->product, "scratch");
  EXPECT_EQ(inquiry->version, scsi::kVersionSpc4);
  EXPECT_TRUE(inquiry->command_queuing);
  EXPECT_TRUE(inquiry->normal_aca);
  EXPECT_EQ(inquiry->target_port_groups, 3);
  EXPECT_TRUE(inquiry->multiple_ports);
  EXPECT_FALSE(inquiry->removable);
  for (const std::uint16_t standard : {scsi::kStandardSpc4, scsi::kStandardSbc3, scsi::kStandardIscsi}) {
    EXPECT_NE(std::ranges::find(inquiry->standards, standard), inquiry->standards.end());
  }
}

TEST_F(PrimaryTest, EveryAllocationLengthGivesThatMuch) {
  start();
  const auto whole = answer(FakeCommand({0x12, 0, 0, 1, 0, 0}, 256));
  for (unsigned length = 0; length < 256; ++length) {
    const auto data = answer(FakeCommand({0x12, 0, 0, 0, length, 0}, 255));
    ASSERT_EQ(data.size(), std::min<std::size_t>(length, 96));
    EXPECT_TRUE(std::equal(data.begin(), data.end(), whole.begin()));
  }
}

TEST_F(PrimaryTest, InquiryRefusesWhatItDoesNotHave) {
  start();
  expect_invalid_field(execute(FakeCommand({0x12, 0, 1, 0, 96, 0}, 96)), 2, std::nullopt);
  expect_invalid_field(execute(FakeCommand({0x12, 1, 0x85, 0, 96, 0}, 96)), 2, std::nullopt);
  expect_invalid_field(execute(FakeCommand({0x12, 2, 0, 0, 96, 0}, 96)), 1, 1);  // CMDDT
}

TEST_F(PrimaryTest, EveryPageThatIsListedCanBeReadAndIsThatPage) {
  start();
  const auto pages = scsi::decode_supported_pages(vpd(0));
  ASSERT_TRUE(pages);
  EXPECT_EQ(pages->size(), 10u);
  EXPECT_TRUE(std::ranges::is_sorted(*pages));
  for (const scsi::VpdPage page : *pages) {
    const auto data = vpd(static_cast<unsigned>(page));
    ASSERT_GE(data.size(), 4u);
    EXPECT_EQ(data[0], 0);
    EXPECT_EQ(data[1], static_cast<std::uint8_t>(page));
    EXPECT_EQ(get_be16(data, 2), data.size() - 4);
  }
}

TEST_F(PrimaryTest, TheHardwareIsStatedWhereThereIsSome) {
  LogicalUnitOptions options;
  options.part = pcie::DiskPart{"eui.0025385b71b0a1c2", 1 << 20};
  start(options);
  const auto pages = scsi::decode_supported_pages(vpd(0));
  ASSERT_TRUE(pages);
  EXPECT_EQ(pages->back(), scsi::VpdPage::kDiskPlace);
  const scsi::DiskPlace expected{"eui.0025385b71b0a1c2", 1 << 20, device->geometry().size};
  EXPECT_EQ(scsi::decode_disk_place(vpd(0xe8)), expected);
}

TEST_F(PrimaryTest, WithoutHardwareThereIsNoPageAboutIt) {
  start();
  expect_invalid_field(execute(FakeCommand({0x12, 1, 0xe8, 0, 96, 0}, 96)), 2, std::nullopt);
}

TEST_F(PrimaryTest, DeviceIdentificationNamesUnitPortAndDevice) {
  start();
  EXPECT_EQ(scsi::decode_unit_serial_number(vpd(0x80)), unit->identity().serial);
  const auto designators = scsi::decode_device_identification(vpd(0x83));
  ASSERT_TRUE(designators);
  const auto has = [&](const scsi::Designator& wanted) { return std::ranges::count(*designators, wanted) == 1; };
  EXPECT_TRUE(has(scsi::naa_designator(unit->identity().naa)));
  EXPECT_TRUE(has(scsi::t10_vendor_designator("PEERLANE", unit->identity().serial)));
  EXPECT_TRUE(has(scsi::relative_target_port_designator(7)));
  EXPECT_TRUE(has(scsi::target_port_group_designator(7)));
  EXPECT_TRUE(has(scsi::scsi_name_designator(scsi::Association::kTargetPort, "iqn.2026-11.test:target,t,0x0007")));
  EXPECT_TRUE(has(scsi::scsi_name_designator(scsi::Association::kTargetDevice, "iqn.2026-11.test:target")));
}

TEST_F(PrimaryTest, ExtendedInquiryFollowsTheDevice) {
  start();
  auto page = scsi::decode_extended_inquiry(vpd(0x86));
  ASSERT_TRUE(page);
  EXPECT_TRUE(page->head_of_queue && page->ordered && page->simple && page->luns_changed_once);
  EXPECT_FALSE(page->volatile_cache);
  EXPECT_EQ(page->max_sense_bytes, scsi::kMaxSenseBytes);
  nexus.reset();

  prepare();
  device->claims.volatile_cache = true;
  start();
  EXPECT_TRUE(scsi::decode_extended_inquiry(vpd(0x86))->volatile_cache);
}

TEST_F(PrimaryTest, PolicyAndPorts) {
  start();
  EXPECT_EQ(scsi::decode_mode_page_policy(vpd(0x87)), std::vector{scsi::ModePagePolicy{}});
  const auto ports = scsi::decode_scsi_ports(vpd(0x88));
  ASSERT_TRUE(ports);
  ASSERT_EQ(ports->size(), 2u);
  const auto name = [](const char* text) {
    return std::vector{scsi::scsi_name_designator(scsi::Association::kTargetPort, text)};
  };
  EXPECT_EQ((*ports)[0], (scsi::ScsiPort{7, name("iqn.2026-11.test:target,t,0x0007")}));
  EXPECT_EQ((*ports)[1], (scsi::ScsiPort{8, name("iqn.2026-11.test:target,t,0x0008")}));
}

TEST_F(PrimaryTest, MorePortsThanAPageHasRoomForAreCutWhole) {
  LogicalUnitOptions options;
  for (std::uint16_t tag = 1; tag <= limits::kPortalGroups; ++tag) options.port_groups.push_back({.tag = tag});
  start(options);
  const auto data = answer(FakeCommand({0x12, 1, 0x88, 255, 255, 0}, 65535));
  EXPECT_EQ(get_be16(data, 2), data.size() - 4);
  EXPECT_GT(scsi::decode_scsi_ports(data)->size(), 10u);
  const auto groups = answer(FakeCommand({0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0}, 65535));
  EXPECT_EQ(groups.size(), 4u + 12u * limits::kPortalGroups);
}

TEST_F(PrimaryTest, BlockLimitsStateTheLimitsThatAreKept) {
  start();
  const auto data = vpd(0xb0);
  EXPECT_EQ(data.size(), 64u);
  const auto limits = scsi::decode_block_limits(data);
  EXPECT_EQ(limits->max_transfer, limits::kMaxTransferBytes / 512);
  EXPECT_EQ(limits->max_write_same, limits::kMaxWriteSameBytes / 512);
  EXPECT_EQ(limits->max_unmap_blocks, 1u << 20);
  EXPECT_EQ(limits->max_unmap_descriptors, 256u);
  EXPECT_EQ(limits->unmap_granularity, 8u);
  EXPECT_EQ(limits->unmap_alignment, 0u);
  EXPECT_EQ(limits->transfer_granularity, 8);
  EXPECT_EQ(limits->max_compare_and_write, 255);
  EXPECT_EQ(limits->max_atomic_transfer, limits::kMaxAtomicBytes / 512);
  EXPECT_FALSE(limits->write_same_non_zero);
  nexus.reset();

  prepare(4096);
  device->claims.atomic_write = false;
  start();
  const auto large = scsi::decode_block_limits(vpd(0xb0));
  EXPECT_EQ(large->max_compare_and_write, limits::kMaxCompareBytes / 4096);
  EXPECT_EQ(large->max_atomic_transfer, 0u);
}

TEST_F(PrimaryTest, CharacteristicsTellWhatReadsMeetAfterABlockErase) {
  start();
  EXPECT_EQ(scsi::decode_block_device_characteristics(vpd(0xb1))->after_block_erase, scsi::AfterBlockErase::kReads);
  nexus.reset();
  prepare();
  device->claims.unmap = false;
  start();
  EXPECT_EQ(scsi::decode_block_device_characteristics(vpd(0xb1)), scsi::DeviceCharacteristics{});
}

TEST_F(PrimaryTest, ThePhysicalBlockSizeMayBeDeclared) {
  LogicalUnitOptions options;
  options.physical_block_size = 4096;
  start(options);
  const auto data = answer(FakeCommand({0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0}, 32));
  EXPECT_EQ(scsi::decode_capacity16(data)->physical_exponent, 3);
}

TEST_F(PrimaryTest, ProvisioningFollowsTheDevice) {
  start();
  auto page = scsi::decode_logical_block_provisioning(vpd(0xb2));
  EXPECT_TRUE(page->unmap && page->write_same_10 && page->write_same_16 && page->reads_zeroes);
  EXPECT_EQ(page->type, scsi::ProvisioningType::kThin);
  nexus.reset();

  prepare();
  device->claims.unmap = false;
  start();
  page = scsi::decode_logical_block_provisioning(vpd(0xb2));
  EXPECT_EQ(*page, scsi::LogicalBlockProvisioning{});
  EXPECT_EQ(scsi::decode_block_limits(vpd(0xb0))->max_unmap_blocks, 0u);
  EXPECT_EQ(scsi::decode_block_limits(vpd(0xb0))->max_unmap_descriptors, 0u);
}

// --- REQUEST SENSE, REPORT LUNS ---

TEST_F(PrimaryTest, RequestSenseInBothFormats) {
  start();
  EXPECT_EQ(answer(FakeCommand({0x03, 0, 0, 0, 252, 0}, 252)).size(), 18u);
  const auto descriptors = answer(FakeCommand({0x03, 1, 0, 0, 252, 0}, 252));
  EXPECT_EQ(descriptors.size(), 8u);
  EXPECT_EQ(descriptors[0], 0x72);
  EXPECT_EQ(answer(FakeCommand({0x03, 0, 0, 0, 4, 0}, 252)).size(), 4u);
  EXPECT_TRUE(answer(FakeCommand({0x03, 0, 0, 0, 0, 0}, 252)).empty());
}

TEST_F(PrimaryTest, ReportLuns) {
  start();
  const auto report = [this](unsigned select) {
    return answer(FakeCommand({0xa0, 0, select, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256));
  };
  const auto all = report(0x00);
  EXPECT_EQ(all.size(), 24u);
  EXPECT_EQ(scsi::lun_list_entry(all, 0), scsi::encode_lun({0}));
  EXPECT_EQ(scsi::lun_list_entry(all, 1), scsi::encode_lun({3}));
  EXPECT_EQ(report(0x11), all);
  const auto with_well_known = report(0x02);
  EXPECT_EQ(with_well_known.size(), 32u);
  EXPECT_EQ(scsi::lun_list_entry(with_well_known, 1), scsi::encode_lun({3}));
  EXPECT_EQ(scsi::lun_list_entry(with_well_known, 2), 0xc101'0000'0000'0000u);
  EXPECT_EQ(report(0x01).size(), 16u);
  EXPECT_EQ(scsi::lun_list_entry(report(0x01), 0), 0xc101'0000'0000'0000u);
  for (const unsigned select : {0x10u, 0x12u}) EXPECT_EQ(report(select), std::vector<std::uint8_t>(8, 0));
  for (const unsigned select : {0x03u, 0x0fu, 0x13u, 0xffu}) {
    expect_invalid_field(execute(FakeCommand({0xa0, 0, select, 0, 0, 0, 0, 0, 1, 0, 0, 0}, 256)), 2, std::nullopt);
  }
  EXPECT_EQ(view.cleared, codes::kReportedLunsChanged);
}

// --- READ CAPACITY ---

TEST_F(PrimaryTest, ReadCapacity) {
  prepare();
  device->shape.physical_block_size = 4096;
  start();
  const auto ten = scsi::decode_capacity10(answer(FakeCommand({0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 8)));
  EXPECT_EQ(ten->blocks.value, kBlocks);
  EXPECT_EQ(ten->block_size, 512u);
  const auto data = answer(FakeCommand({0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0}, 32));
  EXPECT_EQ(
      scsi::decode_capacity16(data),
      (scsi::Capacity{
          .blocks = {kBlocks}, .block_size = 512, .physical_exponent = 3, .provisioning = true, .reads_zeroes = true}));
  for (unsigned length = 0; length < 40; ++length) {
    EXPECT_EQ(answer(FakeCommand({0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, length, 0, 0}, 40)).size(),
              std::min(length, 32u));
  }
}

// --- REPORT SUPPORTED OPERATION CODES ---

FakeCommand rsoc(unsigned options, unsigned operation = 0, unsigned service_action = 0) {
  return FakeCommand({0xa3, 0x0c, options, operation, service_action >> 8, service_action & 0xff, 0, 0, 16, 0, 0, 0},
                     4096);
}

TEST_F(PrimaryTest, AllCommandsAreReportedAndEachByItself) {
  start();
  const auto commands = scsi::decode_supported_commands(answer(rsoc(0)));
  ASSERT_TRUE(commands);
  EXPECT_EQ(commands->size(), listed());
  EXPECT_EQ(scsi::decode_supported_commands(answer(rsoc(0x80))), commands);
  for (const scsi::SupportedCommand& command : *commands) {
    const unsigned service_action = command.service_action.value_or(0);
    const unsigned right = command.service_action ? 2 : 1;
    const auto data = answer(rsoc(right, command.operation_code, service_action));
    const auto support = scsi::decode_command_support(data);
    ASSERT_TRUE(support);
    EXPECT_EQ(support->support, scsi::Support::kStandard);
    EXPECT_EQ(support->usage.size(), command.cdb_length);
    EXPECT_EQ(support->usage[0], command.operation_code);
    expect_invalid_field(execute(rsoc(3 - right, command.operation_code, service_action)), 2, 2);
    EXPECT_EQ(answer(rsoc(3, command.operation_code, service_action)), data);
    EXPECT_EQ(answer(rsoc(0x80 | right, command.operation_code, service_action)).size(), data.size() + 12);
  }
}

TEST_F(PrimaryTest, CommandsThatDoNotExistAreReportedSo) {
  start();
  const std::size_t with_unmap = offered().size();
  const auto support = [this](FakeCommand&& command) {
    return scsi::decode_command_support(answer(std::move(command)))->support;
  };
  EXPECT_EQ(support(rsoc(1, 0xff)), scsi::Support::kNot);
  EXPECT_EQ(support(rsoc(2, 0xff, 1)), scsi::Support::kNot);
  EXPECT_EQ(support(rsoc(2, 0x9e, 0x13)), scsi::Support::kNot);
  EXPECT_EQ(support(rsoc(2, 0x9e, 0x110)), scsi::Support::kNot);
  EXPECT_EQ(support(rsoc(3, 0x28, 1)), scsi::Support::kNot);
  EXPECT_EQ(support(rsoc(3, 0x28, 0)), scsi::Support::kStandard);
  // Not in the list of all, but known.
  EXPECT_EQ(support(rsoc(2, 0x7f, 0x09)), scsi::Support::kStandard);
  expect_invalid_field(execute(rsoc(4)), 2, 2);
  nexus.reset();

  prepare();
  device->claims.unmap = false;
  start();
  EXPECT_EQ(support(rsoc(1, 0x42)), scsi::Support::kNot);
  EXPECT_EQ(support(rsoc(2, 0x9e, 0x12)), scsi::Support::kNot);
  EXPECT_EQ(scsi::decode_supported_commands(answer(rsoc(0)))->size(), listed());
  EXPECT_LT(offered().size(), with_unmap);
}

TEST_F(PrimaryTest, TimeoutsAreStatedWhereTheyAreAskedFor) {
  start();
  const auto timeouts = [this](unsigned operation, unsigned service_action = 0) {
    return scsi::decode_command_support(answer(rsoc(0x83, operation, service_action)))->timeouts;
  };
  for (const CommandDescription* const row : offered()) {
    const auto stated = timeouts(static_cast<unsigned>(row->operation), row->service_action.value_or(0));
    EXPECT_NE(stated.nominal, 0u) << row->name;
    EXPECT_GE(stated.recommended, stated.nominal) << row->name;
  }
  EXPECT_GT(timeouts(0x28).recommended, timeouts(0x12).recommended);
  EXPECT_GT(timeouts(0x93).recommended, timeouts(0x28).recommended);  // WRITE SAME: much of the medium
  EXPECT_EQ(scsi::decode_command_support(answer(rsoc(3, 0x28)))->timeouts, scsi::CommandTimeouts{});
}

TEST_F(PrimaryTest, TaskManagementFunctions) {
  start();
  const auto report = [this](unsigned flags, unsigned length) {
    return answer(FakeCommand({0xa3, 0x0d, flags, 0, 0, 0, 0, 0, 0, length, 0, 0}, 255));
  };
  EXPECT_EQ(report(0, 255), (std::vector<std::uint8_t>{0xfe, 0x07, 0x00, 0x00}));
  const std::vector<std::uint8_t> extended{0xfe, 0x07, 0, 0x0c, 1, 0, 0, 0, 0, 0, 0, 100, 0, 0, 0, 0};
  EXPECT_EQ(report(0x80, 255), extended);  // 10 s
  EXPECT_EQ(report(0x80, 5).size(), 5u);
  expect_invalid_field(execute(FakeCommand({0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0}, 255)), 6, std::nullopt);
}

TEST_F(PrimaryTest, ReadsReportDpoAndFuaAsModeSenseDoes) {
  start();
  for (const unsigned operation : {0x28u, 0x2au, 0xa8u, 0xaau, 0x88u, 0x8au}) {
    const auto data = answer(rsoc(1, operation));
    EXPECT_EQ(scsi::decode_command_support(data)->usage[1] & 0x18, 0x18);
  }
}

}  // namespace
}  // namespace peerlane::target
