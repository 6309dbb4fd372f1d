#include <gtest/gtest.h>

#include "scsi/lba_status.h"
#include "scsi/sense_codes.h"
#include "target/testing/unit_fixture.h"

namespace peerlane::target::testing {
namespace {

using scsi::ProvisioningStatus;

class LbaStatusTest : public UnitTest {
 protected:
  static FakeCommand get_lba_status(unsigned lba, unsigned allocation_length = 4096) {
    return FakeCommand({0x9e, 0x12, 0, 0, 0, 0, 0, 0, lba >> 8, lba & 0xff, 0, 0, allocation_length >> 8,
                        allocation_length & 0xff, 0, 0},
                       4096);
  }
  std::vector<std::uint8_t> answer(FakeCommand&& command) {
    expect_good(execute(command));
    return command.data_in();
  }
};

TEST_F(LbaStatusTest, TellsWhichBlocksHaveSpace) {
  start();
  fill(64, 16, 0x5a);
  const auto data = answer(get_lba_status(0));
  EXPECT_EQ(scsi::lba_status_entry(data, 0), (scsi::LbaStatus{{0}, {64}, ProvisioningStatus::kDeallocated}));
  EXPECT_EQ(scsi::lba_status_entry(data, 1), (scsi::LbaStatus{{64}, {16}, ProvisioningStatus::kMapped}));
  const auto rest = scsi::lba_status_entry(data, 2);
  ASSERT_TRUE(rest.has_value());
  EXPECT_EQ(rest->lba.value + rest->count.value, unit->capacity().value);
  EXPECT_FALSE(scsi::lba_status_entry(data, 3).has_value());
}

TEST_F(LbaStatusTest, BeginsWithTheBlockThatWasAskedFor) {
  start();
  fill(64, 16, 0x5a);
  EXPECT_EQ(scsi::lba_status_entry(answer(get_lba_status(67)), 0),
            (scsi::LbaStatus{{67}, {13}, ProvisioningStatus::kMapped}));
}

TEST_F(LbaStatusTest, IsCutToTheAllocationLength) {
  start();
  fill(64, 16, 0x5a);
  const auto data = answer(get_lba_status(0, 24));
  EXPECT_EQ(data.size(), 24u);
  EXPECT_GT(get_be32(data, 0), 20u) << "the length tells that there is more";
}

TEST_F(LbaStatusTest, RefusesBlocksThatDoNotExist) {
  prepare_size(8u << 20);
  start();
  const auto blocks = static_cast<unsigned>(unit->capacity().value);
  EXPECT_EQ(execute(get_lba_status(blocks)).sense.value().code, scsi::sense_codes::kLbaOutOfRange);
  EXPECT_FALSE(execute(get_lba_status(blocks - 1)).sense.has_value());
}

TEST_F(LbaStatusTest, EverythingIsMappedWhereTheDiskCannotTell) {
  prepare();
  device->claims.allocation = false;
  start();
  const auto data = answer(get_lba_status(5));
  EXPECT_EQ(scsi::lba_status_entry(data, 0),
            (scsi::LbaStatus{{5}, {unit->capacity().value - 5}, ProvisioningStatus::kMapped}));
}

}  // namespace
}  // namespace peerlane::target::testing
