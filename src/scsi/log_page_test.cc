#include "scsi/log_page.h"

#include <array>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

TEST(LogPage, Supported) {
  const std::array codes{kSupportedLogPages, kSupportedLogSubpages, kProvisioningLogPage, LogPageCode{0x19, 0x20}};
  std::vector<std::uint8_t> out(32, 0xee);
  out.resize(encode_supported_log_pages(codes, false, out));
  EXPECT_EQ(out, bytes("00 00 00 02 00 0c"));
  EXPECT_EQ(decode_supported_log_pages(out), (std::vector{kSupportedLogPages, kProvisioningLogPage}));
  out.assign(32, 0xee);
  out.resize(encode_supported_log_pages(codes, true, out));
  EXPECT_EQ(out, bytes("40 ff 00 08 00 00 00 ff 0c 00 19 20"));
  EXPECT_EQ(decode_supported_log_pages(out), std::vector(codes.begin(), codes.end()));
  EXPECT_FALSE(decode_supported_log_pages(bytes("0c 00 00 00")));
  EXPECT_FALSE(decode_supported_log_pages(bytes("00 00 00")));
}

TEST(LogPage, ParametersFromThePointerOn) {
  const auto write = [](std::uint16_t first, std::size_t room) {
    std::vector<std::uint8_t> out(room, 0xee);
    LogPageWriter page(kProvisioningLogPage, first, out);
    page.add(0x0001, LogFormat::kBinaryList, bytes("00 00 01 00 02 00 00 00"));
    page.add(0x0102, LogFormat::kUnboundedCounter, bytes("07"));
    out.resize(page.finish());
    return out;
  };
  const auto all = bytes("0c 00 00 11 00 01 03 08 00 00 01 00 02 00 00 00 01 02 02 01 07");
  EXPECT_EQ(write(0, 64), all);
  EXPECT_EQ(write(1, 64), all);
  EXPECT_EQ(write(2, 64), bytes("0c 00 00 05 01 02 02 01 07"));
  EXPECT_EQ(write(0x103, 64), bytes("0c 00 00 00"));
  EXPECT_EQ(write(0, 20), bytes("0c 00 00 0c 00 01 03 08 00 00 01 00 02 00 00 00"));

  const auto parameters = decode_log_parameters(all);
  ASSERT_TRUE(parameters);
  ASSERT_EQ(parameters->size(), 2u);
  EXPECT_EQ((*parameters)[0].code, 1);
  EXPECT_EQ((*parameters)[0].format, LogFormat::kBinaryList);
  EXPECT_EQ((*parameters)[1].number(), 7u);
  for (std::size_t size = 4; size < all.size(); ++size) {
    EXPECT_EQ(decode_log_parameters(ByteView(all).first(size))->size(), size >= 16 ? 1u : 0u);
  }
  EXPECT_FALSE(decode_log_parameters(ByteView(all).first(3)));
  EXPECT_EQ(log_page_code(all), kProvisioningLogPage);
}

}  // namespace
}  // namespace peerlane::scsi
