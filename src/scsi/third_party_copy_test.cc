#include "scsi/third_party_copy.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

constexpr OperationCode kOut = OperationCode::kThirdPartyCopyOut;
constexpr OperationCode kIn = OperationCode::kThirdPartyCopyIn;

struct Case {
  CopyCdb copy;
  const char* hex;
};

// As ddpt, sg_xcopy and sg_copy_results lay them down.
const Case kCases[] = {
    {{kOut, kExtendedCopyLid1, 0, 0x6c}, "83 00 00 00 00 00 00 00 00 00 00 00 00 6c 00 00"},
    {{kOut, kExtendedCopyLid4, 0, 0x12345678}, "83 01 00 00 00 00 00 00 00 00 12 34 56 78 00 00"},
    {{kOut, kPopulateToken, 0x101, 0x20, 5}, "83 10 00 00 00 00 00 00 01 01 00 00 00 20 05 00"},
    {{kOut, kWriteUsingToken, 0xffffffff, 0x228, 63}, "83 11 00 00 00 00 ff ff ff ff 00 00 02 28 3f 00"},
    {{kOut, kCopyOperationAbort, 0x01020304, 0}, "83 1c 01 02 03 04 00 00 00 00 00 00 00 00 00 00"},
    {{kIn, kReceiveCopyStatusLid1, 0x7f, 0x208}, "84 00 7f 00 00 00 00 00 00 00 00 00 02 08 00 00"},
    {{kIn, kReceiveCopyDataLid1, 1, 4}, "84 01 01 00 00 00 00 00 00 00 00 00 00 04 00 00"},
    {{kIn, kReceiveCopyOperatingParameters, 0, 0x208}, "84 03 00 00 00 00 00 00 00 00 00 00 02 08 00 00"},
    {{kIn, kReceiveCopyFailureDetails, 0xff, 0x208}, "84 04 ff 00 00 00 00 00 00 00 00 00 02 08 00 00"},
    {{kIn, kReceiveCopyStatusLid4, 0x101, 0x400}, "84 05 00 00 01 01 00 00 00 00 00 00 04 00 00 00"},
    {{kIn, kReceiveCopyDataLid4, 0x101, 0x400}, "84 06 00 00 01 01 00 00 00 00 00 00 04 00 00 00"},
    {{kIn, kReceiveRodTokenInformation, 0x101, 0x400}, "84 07 00 00 01 01 00 00 00 00 00 00 04 00 00 00"},
    {{kIn, kReportAllRodTokens, 0, 0x1000}, "84 08 00 00 00 00 00 00 00 00 00 00 10 00 00 00"},
};

TEST(CopyCdb, EncodesAsOthersDoAndReadsBack) {
  for (const Case& c : kCases) {
    std::vector<std::uint8_t> out(kCopyCdbBytes, 0xee);
    EXPECT_EQ(encode_copy_cdb(c.copy, out), kCopyCdbBytes);
    EXPECT_EQ(out, bytes(c.hex));
    const auto decoded = decode_copy_cdb(out);
    ASSERT_TRUE(decoded) << c.hex;
    EXPECT_EQ(*decoded, c.copy) << c.hex;
  }
}

TEST(CopyCdb, IgnoresWhatIsNoFieldOfTheCommand) {
  for (const Case& c : kCases) {
    std::vector<std::uint8_t> cdb(kCopyCdbBytes, 0xff);
    cdb[0] = static_cast<std::uint8_t>(c.copy.operation);
    cdb[1] = static_cast<std::uint8_t>(c.copy.service_action | 0xe0);
    const auto decoded = decode_copy_cdb(cdb);
    ASSERT_TRUE(decoded) << c.hex;
    const CdbField field = copy_list_identifier_field(c.copy.operation, c.copy.service_action);
    EXPECT_EQ(decoded->list_identifier, get_field(cdb, field)) << c.hex;
    EXPECT_EQ(decoded->length, c.copy.service_action == kCopyOperationAbort ? 0 : 0xffffffff) << c.hex;
    EXPECT_LE(decoded->group, 63);
  }
}

TEST(CopyCdb, RefusesOtherCommandsAndShortOnes) {
  for (unsigned action = 0; action < 32; ++action) {
    for (const OperationCode operation : {kOut, kIn}) {
      std::vector<std::uint8_t> cdb(kCopyCdbBytes);
      cdb[0] = static_cast<std::uint8_t>(operation);
      cdb[1] = static_cast<std::uint8_t>(action);
      const bool known = std::ranges::any_of(
          kCases, [&](const Case& c) { return c.copy.operation == operation && c.copy.service_action == action; });
      EXPECT_EQ(decode_copy_cdb(cdb).has_value(), known) << action;
      cdb.pop_back();
      EXPECT_FALSE(decode_copy_cdb(cdb));
    }
  }
  EXPECT_FALSE(decode_copy_cdb(std::vector<std::uint8_t>(kCopyCdbBytes)));
}

}  // namespace
}  // namespace peerlane::scsi
