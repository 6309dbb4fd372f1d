#include "scsi/mode.h"

#include <array>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

// MODE SENSE(6) for all pages, as tgt answers it for a disk of 64 MiB.
const auto kFromTgt = bytes(
    "69 00 10 08 00 00 00 00 00 00 02 00 00 00 02 0e 80 80 00 0a 00 00 00 00 00 00 00 00 00 00 08 12"
    "14 00 ff ff 00 00 ff ff ff ff 80 14 00 00 00 00 00 00 0a 0a 02 10 00 00 00 00 00 00 02 00 4a 01"
    "00 1c 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 1c 0a"
    "08 00 00 00 00 00 00 00 00 00");

TEST(Mode, ReadsWhatTgtSends) {
  const auto header = decode_mode_header6(kFromTgt);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->data_length, kFromTgt.size() - 1);
  EXPECT_TRUE(header->dpo_fua);
  EXPECT_FALSE(header->write_protected);
  ASSERT_EQ(header->block_descriptor_length, kShortBlockDescriptorBytes);
  const auto descriptor = decode_short_block_descriptor(ByteView(kFromTgt).subspan(kModeHeader6Bytes));
  EXPECT_EQ(descriptor->block_size, 512u);

  ByteView rest = ByteView(kFromTgt).subspan(kModeHeader6Bytes + kShortBlockDescriptorBytes);
  std::vector<ModePageCode> codes;
  while (!rest.empty()) {
    const auto page = first_mode_page(rest);
    ASSERT_TRUE(page);
    codes.push_back(page->code);
    if (page->code == kCachingPage) {
      EXPECT_EQ(decode_caching_page(page->bytes), CachingPage{.write_cache = true});
    }
    if (page->code == kControlPage) {
      const auto control = decode_control_page(page->bytes);
      ASSERT_TRUE(control);
      EXPECT_TRUE(control->global_logging_disabled);
      EXPECT_EQ(control->queue_algorithm, 1);
      EXPECT_FALSE(control->descriptor_sense);
    }
    rest = rest.subspan(page->bytes.size());
  }
  // It begins with an empty vendor specific page.
  const std::vector<ModePageCode> expected{{0x00, 0}, {0x02, 0}, kCachingPage, kControlPage, {0x0a, 1}, {0x1c, 0}};
  EXPECT_EQ(codes, expected);
}

TEST(Mode, Headers) {
  ModeHeader header{.data_length = 0x2b, .write_protected = true, .dpo_fua = true, .block_descriptor_length = 8};
  std::vector<std::uint8_t> out(kModeHeader6Bytes, 0xee);
  EXPECT_EQ(encode_mode_header6(header, out), out.size());
  EXPECT_EQ(out, bytes("2b 00 90 08"));
  EXPECT_EQ(decode_mode_header6(out), header);

  header.long_lba = true;
  header.data_length = 0x0136;
  header.block_descriptor_length = 16;
  out.assign(kModeHeader10Bytes, 0xee);
  EXPECT_EQ(encode_mode_header10(header, out), out.size());
  EXPECT_EQ(out, bytes("01 36 00 90 01 00 00 10"));
  EXPECT_EQ(decode_mode_header10(out), header);

  EXPECT_FALSE(decode_mode_header6(bytes("2b 00 90")));
  EXPECT_FALSE(decode_mode_header10(bytes("00 36 00 90 01 00 00")));
}

TEST(Mode, BlockDescriptors) {
  const BlockDescriptor small{.blocks = {0x12345678}, .block_size = 4096};
  std::vector<std::uint8_t> out(kShortBlockDescriptorBytes, 0xee);
  encode_short_block_descriptor(small, out);
  EXPECT_EQ(out, bytes("12 34 56 78 00 00 10 00"));
  EXPECT_EQ(decode_short_block_descriptor(out), small);

  const BlockDescriptor large{.blocks = {0x123456789a}, .block_size = 512};
  encode_short_block_descriptor(large, out);
  EXPECT_EQ(out, bytes("ff ff ff ff 00 00 02 00"));
  out.assign(kLongBlockDescriptorBytes, 0xee);
  encode_long_block_descriptor(large, out);
  EXPECT_EQ(out, bytes("00 00 00 12 34 56 78 9a 00 00 00 00 00 00 02 00"));
  EXPECT_EQ(decode_long_block_descriptor(out), large);
}

TEST(Mode, CachingPage) {
  for (const bool write_cache : {false, true}) {
    std::vector<std::uint8_t> out(kCachingPageBytes, 0xee);
    EXPECT_EQ(encode_caching_page({.write_cache = write_cache}, out), out.size());
    auto expected = bytes("08 12 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
    expected[2] = write_cache ? 0x04 : 0x00;
    EXPECT_EQ(out, expected);
    EXPECT_EQ(decode_caching_page(out), CachingPage{.write_cache = write_cache});
  }
}

TEST(Mode, ControlPage) {
  ControlPage page;
  page.descriptor_sense = true;
  page.queue_algorithm = 1;
  page.queue_error = 3;
  page.task_aborted_status = true;
  page.software_write_protect = true;
  page.busy_timeout = 0x1234;
  std::vector<std::uint8_t> out(kControlPageBytes, 0xee);
  EXPECT_EQ(encode_control_page(page, out), out.size());
  EXPECT_EQ(out, bytes("0a 0a 04 16 08 40 00 00 12 34 00 00"));
  EXPECT_EQ(decode_control_page(out), page);
  EXPECT_FALSE(decode_caching_page(out));
}

TEST(Mode, PagesThatAreCutOffAreNone) {
  EXPECT_FALSE(first_mode_page({}));
  EXPECT_FALSE(first_mode_page(bytes("08")));
  EXPECT_FALSE(first_mode_page(bytes("08 12 04")));
  EXPECT_FALSE(first_mode_page(bytes("4a 01 00")));
  EXPECT_FALSE(first_mode_page(bytes("4a 01 ff ff")));
  EXPECT_TRUE(first_mode_page(bytes("08 00")));
  EXPECT_FALSE(decode_caching_page(bytes("08 00")));
}

TEST(Mode, OtherPages) {
  std::vector<std::uint8_t> out(64, 0xee);
  const auto written = [&out](std::size_t size) {
    return std::vector(out.begin(), out.begin() + static_cast<long>(size));
  };

  const ReadWriteErrorRecoveryPage recovery{true, false, 3, 4, 0x0102};
  auto page = written(encode_read_write_error_recovery_page(recovery, out));
  EXPECT_EQ(page, bytes("01 0a 80 03 00 00 00 00 04 00 01 02"));
  EXPECT_EQ(decode_read_write_error_recovery_page(page), recovery);

  const VerifyErrorRecoveryPage verify{5, 0x0304};
  page = written(encode_verify_error_recovery_page(verify, out));
  EXPECT_EQ(page, bytes("07 0a 00 05 00 00 00 00 00 00 03 04"));
  EXPECT_EQ(decode_verify_error_recovery_page(page), verify);
  EXPECT_FALSE(decode_read_write_error_recovery_page(page));

  const ControlExtensionPage extension{true, true, true, 2, 252};
  page = written(encode_control_extension_page(extension, out));
  EXPECT_EQ(page,
            bytes("4a 01 00 1c 07 02 fc 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"));
  EXPECT_EQ(decode_control_extension_page(page), extension);
  EXPECT_EQ(mode_page_length_offset(page), 2u);

  const InformationalExceptionsPage exceptions{true, 6};
  page = written(encode_informational_exceptions_page(exceptions, out));
  EXPECT_EQ(page, bytes("1c 0a 08 06 00 00 00 00 00 00 00 00"));
  EXPECT_EQ(decode_informational_exceptions_page(page), exceptions);
  EXPECT_EQ(mode_page_length_offset(page), 1u);

  ControlPage control;
  control.task_set_type = 1;
  control.descriptor_sense = true;
  page = written(encode_control_page(control, out));
  EXPECT_EQ(page[2], 0x24);
  EXPECT_EQ(decode_control_page(page), control);
}

}  // namespace
}  // namespace peerlane::scsi
