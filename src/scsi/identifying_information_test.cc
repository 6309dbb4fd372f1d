#include "scsi/identifying_information.h"

#include <array>

#include <gtest/gtest.h>

#include "scsi/supported_functions.h"
#include "scsi/testing.h"
#include "scsi/timestamp.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

TEST(IdentifyingInformation, Encode) {
  std::vector<std::uint8_t> out(16, 0xee);
  out.resize(encode_identifying_information(bytes("41 42 00"), out));
  EXPECT_EQ(out, bytes("00 00 00 03 41 42 00"));
  const auto back = decode_identifying_information(out);
  ASSERT_TRUE(back);
  EXPECT_TRUE(std::equal(back->begin(), back->end(), out.begin() + 4, out.end()));
  EXPECT_EQ(decode_identifying_information(ByteView(out).first(5))->size(), 1u);
  EXPECT_FALSE(decode_identifying_information(ByteView(out).first(3)));
}

TEST(IdentifyingInformation, Supported) {
  const std::array types{SupportedInformation{InformationType::kIdentifier, 512},
                         SupportedInformation{InformationType::kText, 256}};
  std::vector<std::uint8_t> out(16, 0xee);
  out.resize(encode_supported_information(types, out));
  EXPECT_EQ(out, bytes("00 00 00 08 00 00 02 00 02 00 01 00"));
  EXPECT_EQ(decode_supported_information(out), std::vector(types.begin(), types.end()));
}

TEST(IdentifyingInformation, TypeInTheCdb) {
  const auto cdb = bytes("a4 06 00 00 00 00 00 00 00 10 02 00");
  EXPECT_EQ(information_type(cdb), InformationType::kText);
}

TEST(Timestamp, Format) {
  std::vector<std::uint8_t> out(16, 0xee);
  out.resize(encode_timestamp({0x0123'4567'89ab, TimestampOrigin::kOutside}, out));
  EXPECT_EQ(out, bytes("00 0a 03 00 01 23 45 67 89 ab 00 00"));
  EXPECT_EQ(decode_timestamp(out), (Timestamp{0x0123'4567'89ab, TimestampOrigin::kOutside}));
  EXPECT_FALSE(decode_timestamp(ByteView(out).first(11)));
  EXPECT_EQ(decode_set_timestamp(bytes("00 00 00 00 01 23 45 67 89 ab 00 00")), 0x0123'4567'89abu);
}

TEST(SupportedFunctions, BothForms) {
  SupportedFunctions functions;
  functions.abort_task = functions.clear_aca = functions.nexus_reset = true;
  std::vector<std::uint8_t> out(16, 0xee);
  EXPECT_EQ(encode_supported_functions(functions, out), 4u);
  EXPECT_EQ(ByteView(out).first(4)[0], 0xa0);
  EXPECT_EQ(decode_supported_functions(out), functions);
  EXPECT_EQ(encode_supported_functions(functions, 0x01020304, out), 16u);
  EXPECT_EQ(out, bytes("a0 01 00 0c 01 00 00 00 01 02 03 04 00 00 00 00"));
  EXPECT_EQ(decode_supported_functions(out), functions);
  EXPECT_FALSE(decode_supported_functions(ByteView(out).first(3)));
}

}  // namespace
}  // namespace peerlane::scsi
