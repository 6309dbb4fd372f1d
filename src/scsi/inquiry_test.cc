#include "scsi/inquiry.h"

#include <array>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

TEST(Inquiry, EncodesAsInTheStandardAndReadsBack) {
  StandardInquiry inquiry;
  inquiry.hierarchical_luns = true;
  inquiry.command_queuing = true;
  inquiry.vendor = "PEERLANE";
  inquiry.product = "DISK";
  inquiry.revision = "0100";
  inquiry.standards = {kStandardSam5, kStandardIscsi, kStandardSpc4, kStandardSbc3};
  std::array<std::uint8_t, kStandardInquiryBytes> out;
  out.fill(0xee);
  ASSERT_EQ(encode_inquiry(inquiry, out), 96u);
  const auto start = bytes(
      "00 00 06 12 5b 00 00 02 50 45 45 52 4c 41 4e 45 44 49 53 4b 20 20 20 20 20 20 20 20 20 20 20 20"
      "30 31 30 30 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 a0 09 60 04 60"
      "04 c0 00 00");
  EXPECT_TRUE(std::equal(start.begin(), start.end(), out.begin()));
  EXPECT_EQ(decode_inquiry(out), inquiry);

  inquiry.peripheral = kNoLogicalUnit;
  inquiry.removable = true;
  inquiry.target_port_groups = 3;
  inquiry.third_party_copy = true;
  inquiry.multiple_ports = true;
  encode_inquiry(inquiry, out);
  EXPECT_EQ(out[0], 0x7f);
  EXPECT_EQ(out[1], 0x80);
  EXPECT_EQ(out[5], 0x38);
  EXPECT_EQ(out[6], 0x10);
  EXPECT_EQ(decode_inquiry(out), inquiry);
}

TEST(Inquiry, TextIsPrintableAndFitsItsField) {
  StandardInquiry inquiry;
  inquiry.vendor = "A\nB\x80";
  inquiry.product = "a name that is much longer than sixteen characters";
  std::array<std::uint8_t, kStandardInquiryBytes> out;
  encode_inquiry(inquiry, out);
  const auto decoded = decode_inquiry(out);
  EXPECT_EQ(decoded->vendor, "A?B?");
  EXPECT_EQ(decoded->product, "a name that is m");
  EXPECT_EQ(decoded->revision, "");
}

TEST(Inquiry, ReadsWhatTgtSends) {
  const auto inquiry = decode_inquiry(
      bytes("00 00 05 12 3d 00 00 02 49 45 54 20 20 20 20 20 56 49 52 54 55 41 4c 2d 44 49 53 4b 20 20 20 20"
            "30 30 30 31 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 04 c0 09 60 03 00"
            "00 00"));
  ASSERT_TRUE(inquiry);
  EXPECT_EQ(inquiry->peripheral, Peripheral{});
  EXPECT_EQ(inquiry->version, 5);
  EXPECT_EQ(inquiry->vendor, "IET");
  EXPECT_EQ(inquiry->product, "VIRTUAL-DISK");
  EXPECT_EQ(inquiry->revision, "0001");
  EXPECT_TRUE(inquiry->command_queuing);
  EXPECT_EQ(inquiry->standards[0], kStandardSbc3);
  EXPECT_EQ(inquiry->standards[1], kStandardIscsi);
}

TEST(Inquiry, TruncationsAndLengthsThatLie) {
  EXPECT_FALSE(decode_inquiry(bytes("00 00 06 02")));
  const auto shortest = decode_inquiry(bytes("7f 00 06 02 5b"));
  ASSERT_TRUE(shortest);
  EXPECT_EQ(shortest->peripheral, kNoLogicalUnit);
  EXPECT_EQ(shortest->vendor, "");
  // ADDITIONAL LENGTH ends the data before the vendor's name.
  EXPECT_EQ(decode_inquiry(bytes("00 00 06 02 03 00 00 02 41 42 43 44 45 46 47 48"))->vendor, "");
}

}  // namespace
}  // namespace peerlane::scsi
