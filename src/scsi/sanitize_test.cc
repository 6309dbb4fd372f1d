#include "scsi/sanitize.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "scsi/defect_list.h"
#include "scsi/sense_codes.h"
#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

TEST(Sanitize, OverwriteListAsSgSanitizeSendsIt) {
  const auto list = bytes("83 00 00 04 aa bb cc dd");
  const auto overwrite = decode_sanitize_overwrite(list, 512);
  ASSERT_TRUE(overwrite);
  EXPECT_TRUE(overwrite->invert);
  EXPECT_EQ(overwrite->passes, 3);
  EXPECT_TRUE(std::ranges::equal(overwrite->pattern, bytes("aa bb cc dd")));
}

TEST(Sanitize, APatternMayBeAWholeBlockButNotMore) {
  auto list = std::vector<std::uint8_t>(4 + 513, 0x55);
  list[0] = 0x01;
  list[1] = 0;
  put_be16(list, 2, 512);
  EXPECT_TRUE(decode_sanitize_overwrite(list, 512));
  put_be16(list, 2, 513);
  EXPECT_FALSE(decode_sanitize_overwrite(list, 512));
}

TEST(Sanitize, WrongFieldsArePointedAt) {
  const auto wrong = [](std::string_view hex) -> unsigned {
    const auto overwrite = decode_sanitize_overwrite(bytes(hex), 512);
    if (overwrite) return 1000;
    EXPECT_EQ(overwrite.error().code, sense_codes::kInvalidFieldInParameterList);
    return overwrite.error().field->byte;
  };
  EXPECT_EQ(wrong("01 00 00 01 00"), 1000u);
  EXPECT_EQ(wrong("00 00 00 01 00"), 0u);  // no pass
  EXPECT_EQ(wrong("21 00 00 01 00"), 0u);  // TEST
  EXPECT_EQ(wrong("01 01 00 01 00"), 1u);
  EXPECT_EQ(wrong("01 00 00 00 00"), 2u);  // no pattern
  EXPECT_EQ(wrong("01 00 00 02 00"), 2u);  // more than there is
  EXPECT_EQ(decode_sanitize_overwrite(bytes("01 00 00"), 512).error().code, sense_codes::kParameterListLengthError);
}

TEST(DefectList, TheHeaderRepeatsWhatWasAskedFor) {
  std::vector<std::uint8_t> out(8, 0xee);
  EXPECT_EQ(encode_no_defects10(0xfd, out), 4u);
  EXPECT_EQ(out, bytes("00 1d 00 00 ee ee ee ee"));
  EXPECT_EQ(encode_no_defects12(0x08, out), 8u);
  EXPECT_EQ(out, bytes("00 08 00 00 00 00 00 00"));
}

}  // namespace
}  // namespace peerlane::scsi
