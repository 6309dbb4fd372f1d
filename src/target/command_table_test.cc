#include "target/command_table.h"

#include <set>

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"

namespace peerlane::target {
namespace {

std::vector<std::uint8_t> cdb_of(const CommandDescription& row) {
  std::vector<std::uint8_t> cdb(std::max(16u, row.cdb_length()), 0);
  cdb[0] = static_cast<std::uint8_t>(row.operation);
  if (row.cdb_length() == scsi::kVariableLengthCdbBytes) {
    cdb[7] = scsi::kAdditionalCdbLength;
    put_be16(cdb, 8, *row.service_action);
  } else if (row.service_action) {
    cdb[1] = static_cast<std::uint8_t>(*row.service_action);
  }
  return cdb;
}

TEST(CommandTable, RowsAreConsistent) {
  std::pair<int, int> last{-1, -1};
  for (const CommandDescription& row : command_table()) {
    const std::pair<int, int> key{static_cast<int>(row.operation), row.service_action.value_or(0)};
    EXPECT_GT(key, last) << row.name;
    last = key;
    EXPECT_EQ(row.usage[0], static_cast<std::uint8_t>(row.operation)) << row.name;
    EXPECT_NE(row.cdb_length(), 0u) << row.name;
    EXPECT_NE(row.answer == nullptr, row.work == nullptr) << row.name;
    EXPECT_EQ(row.usage[row.control_byte()], scsi::kNaca) << row.name << ": control byte";
    for (std::size_t i = row.cdb_length(); i < row.usage.size(); ++i) EXPECT_EQ(row.usage[i], 0) << row.name;
    if (row.cdb_length() == scsi::kVariableLengthCdbBytes) {
      EXPECT_EQ(row.usage[7], scsi::kAdditionalCdbLength) << row.name;
      EXPECT_EQ(get_be16(row.usage, 8), *row.service_action) << row.name;
    } else if (row.service_action) {
      EXPECT_EQ(row.usage[1] & 0x1f, *row.service_action) << row.name;
    }
    if (row.allocation_length.width != 0) {
      EXPECT_EQ(row.direction, DataDirection::kIn) << row.name;
      for (unsigned i = 0; i < row.allocation_length.width; ++i) {
        EXPECT_EQ(row.usage[row.allocation_length.offset + i], 0xff) << row.name;
      }
    }
    if ((row.needs & kNeedsWriteAccess) != 0) {
      EXPECT_EQ(row.reservation, ReservationClass::kWrite) << row.name;
    }
    if ((row.needs & kNeedsBlocks) != 0) {
      EXPECT_NE(row.reservation, ReservationClass::kAllowed) << row.name;
    }
  }
}

TEST(CommandTable, EveryRowIsFoundByItsCdb) {
  std::set<unsigned> known;
  for (const CommandDescription& row : command_table()) {
    const auto found = find_command(cdb_of(row));
    ASSERT_TRUE(found) << row.name;
    EXPECT_EQ(*found, &row) << row.name;
    EXPECT_FALSE(check_cdb(row, cdb_of(row))) << row.name;
    EXPECT_EQ(find_command(row.usage[0], row.service_action), &row);
    known.insert(row.usage[0]);
  }
  for (unsigned operation = 0; operation < 256; ++operation) {
    std::vector<std::uint8_t> cdb(16, 0);
    cdb[0] = static_cast<std::uint8_t>(operation);
    const auto found = find_command(cdb);
    if (known.contains(operation)) continue;
    ASSERT_FALSE(found) << operation;
    EXPECT_EQ(found.error().code, scsi::sense_codes::kInvalidOperationCode);
    EXPECT_EQ(find_command(static_cast<std::uint8_t>(operation), std::nullopt), nullptr);
  }
}

TEST(CommandTable, UnknownServiceActionIsAFieldOfTheCdb) {
  for (const unsigned operation : {0x9eu, 0xa3u}) {
    std::vector<std::uint8_t> cdb(16, 0);
    cdb[0] = static_cast<std::uint8_t>(operation);
    cdb[1] = 0x1f;
    const auto found = find_command(cdb);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, scsi::sense_codes::kInvalidFieldInCdb);
    EXPECT_EQ(found.error().field->byte, 1);
    EXPECT_EQ(found.error().field->bit, 4);
  }
}

// Each bit that the usage data do not allow is refused, with a pointer to it, and each other one is not.
TEST(CommandTable, EveryBitOfEveryCdbIsCheckedAgainstTheUsageData) {
  for (const CommandDescription& row : command_table()) {
    const bool variable = row.cdb_length() == scsi::kVariableLengthCdbBytes;
    for (unsigned byte = 1; byte < cdb_of(row).size(); ++byte) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        if (byte == 1 && row.service_action && !variable && bit < 5) continue;
        if (variable && byte >= 7 && byte < 10) continue;
        auto cdb = cdb_of(row);
        cdb[byte] = static_cast<std::uint8_t>(cdb[byte] | 1u << bit);
        // What lies past the CDB's end is not part of it.
        const bool allowed = byte >= row.cdb_length() || (row.usage[byte] & 1u << bit) != 0;
        const auto sense = check_cdb(row, cdb);
        ASSERT_EQ(sense.has_value(), !allowed) << row.name << " byte " << byte << " bit " << bit;
        if (!sense) continue;
        EXPECT_EQ(sense->code, scsi::sense_codes::kInvalidFieldInCdb);
        EXPECT_EQ(sense->field->byte, byte);
        EXPECT_EQ(sense->field->bit, bit);
      }
    }
  }
}

TEST(CommandTable, ThePointerIsToTheFirstBadByteAndItsHighestBadBit) {
  const auto* row = find_command(0x28, std::nullopt);
  std::vector<std::uint8_t> cdb{0x28, 0x63, 0, 0, 0, 0, 0x80, 0, 1, 0x04, 0, 0, 0, 0, 0, 0};
  EXPECT_EQ(check_cdb(*row, cdb)->field->byte, 1);
  EXPECT_EQ(check_cdb(*row, cdb)->field->bit, 6);
  cdb[1] = 0x18;
  EXPECT_EQ(check_cdb(*row, cdb)->field->byte, 6);
  cdb[6] = 0;
  EXPECT_FALSE(check_cdb(*row, cdb)) << "NACA";
  cdb[9] = 0x01;
  EXPECT_EQ(check_cdb(*row, cdb)->field->byte, 9);  // LINK of older standards
  EXPECT_EQ(check_cdb(*row, cdb)->field->bit, 0);
  cdb[9] = 0;
  EXPECT_FALSE(check_cdb(*row, cdb));
}

}  // namespace
}  // namespace peerlane::target
