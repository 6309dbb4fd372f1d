#include "scsi/copy_segment.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"
#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

constexpr std::size_t kPosition = 0x50;

struct Case {
  CopySegment segment;
  const char* hex;
};

const Case kCases[] = {
    // As libiscsi sends it: 2048 blocks from the beginning of the disk to its end.
    {BlocksSegment{.blocks = 2048, .destination_lba = {0x7800}},
     "02 00 00 18 00 00 00 00 00 00 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 78 00"},
    // As sg_xcopy does with two descriptors and "cat=1 dc=1".
    {BlocksSegment{.source = 0,
                   .destination = 1,
                   .cat = true,
                   .destination_count = true,
                   .blocks = 0xffff,
                   .source_lba = {0x123456789a},
                   .destination_lba = {8}},
     "02 03 00 18 00 00 00 01 00 00 ff ff 00 00 00 12 34 56 78 9a 00 00 00 00 00 00 00 08"},
    {BytesSegment{.source = 0xffff,
                  .destination = 2,
                  .bytes = 0x01020304,
                  .source_lba = {5},
                  .destination_lba = {6},
                  .source_offset = 7,
                  .destination_offset = 511},
     "0a 00 00 1c ff ff 00 02 01 02 03 04 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 06 00 07 01 ff"},
    {InlineSegment{.destination = 1, .cat = true, .transfer_length = 0x010203, .offset = 4, .bytes = 5},
     "04 01 00 10 00 00 00 01 00 01 02 03 00 00 00 04 00 00 00 05"},
    {VerifySegment{.source = 1, .test_unit_ready = true}, "07 00 00 08 00 01 00 00 01 00 00 00"},
    {RegisterSegment{.destination = 3, .key = 0x1122334455667788, .action_key = 9},
     "14 00 00 18 00 00 00 03 11 22 33 44 55 66 77 88 00 00 00 00 00 00 00 09 00 00 00 00"},
};

void expect_error(const std::expected<CopySegment, Sense>& decoded, SenseCode code, std::optional<std::size_t> byte) {
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().key, SenseKey::kIllegalRequest);
  EXPECT_EQ(decoded.error().code, code);
  ASSERT_EQ(decoded.error().field.has_value(), byte.has_value());
  if (byte) {
    EXPECT_EQ(decoded.error().field->byte, kPosition + *byte);
  }
}

TEST(CopySegment, EncodesAsOnTheWireAndReadsBack) {
  for (const Case& c : kCases) {
    std::vector<std::uint8_t> out;
    append_segment(c.segment, out);
    EXPECT_EQ(out, bytes(c.hex));
    EXPECT_EQ(segment_bytes(c.segment), out.size());
    EXPECT_EQ(segment_type(c.segment), out[0]);
    out.push_back(0xff);
    EXPECT_EQ(decode_segment(out, kPosition), c.segment) << c.hex;
  }
}

TEST(CopySegment, EveryTruncationIsALengthError) {
  for (const Case& c : kCases) {
    const auto whole = bytes(c.hex);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      expect_error(decode_segment(part, kPosition), sense_codes::kParameterListLengthError, std::nullopt);
    }
  }
}

TEST(CopySegment, ALengthThatIsNotTheTypesIsRefused) {
  for (const Case& c : kCases) {
    auto wrong = bytes(c.hex);
    ++wrong[3];
    wrong.resize(256);
    expect_error(decode_segment(wrong, kPosition), sense_codes::kInvalidFieldInParameterList, 2);
    wrong[2] = wrong[3] = 0;
    expect_error(decode_segment(wrong, kPosition), sense_codes::kInvalidFieldInParameterList, 2);
    wrong[2] = 0xff;
    expect_error(decode_segment(wrong, kPosition), sense_codes::kInvalidFieldInParameterList, 2);
  }
}

TEST(CopySegment, OtherTypesAreNamed) {
  for (unsigned type = 0; type < 256; ++type) {
    const bool known =
        std::ranges::find(kCases, type, [](const Case& c) { return segment_type(c.segment); }) != std::end(kCases);
    if (known) continue;
    std::vector<std::uint8_t> list(32);
    list[0] = static_cast<std::uint8_t>(type);
    expect_error(decode_segment(list, kPosition), sense_codes::kUnsupportedSegmentDescriptor, 0);
  }
}

TEST(CopySegment, SegmentsSayWhichUnitsTheyName) {
  EXPECT_EQ(units_of(kCases[2].segment).source, 0xffff);
  EXPECT_EQ(units_of(kCases[2].segment).destination, 2);
  EXPECT_FALSE(units_of(kCases[3].segment).source);
  EXPECT_EQ(units_of(kCases[3].segment).destination, 1);
  EXPECT_EQ(units_of(kCases[4].segment).source, 1);
  EXPECT_FALSE(units_of(kCases[4].segment).destination);
  EXPECT_FALSE(units_of(kCases[5].segment).source);
}

TEST(CopySegment, AnyBytesOfAKnownTypeEncodeToTheSameValue) {
  std::mt19937 random(2);
  for (unsigned round = 0; round < 5000; ++round) {
    auto list = bytes(kCases[round % std::size(kCases)].hex);
    for (std::size_t i = 4; i < list.size(); ++i) list[i] = static_cast<std::uint8_t>(random());
    list[1] = static_cast<std::uint8_t>(random());
    const auto decoded = decode_segment(list, kPosition);
    ASSERT_TRUE(decoded);
    std::vector<std::uint8_t> again;
    append_segment(*decoded, again);
    EXPECT_EQ(decode_segment(again, kPosition), *decoded);
  }
}

}  // namespace
}  // namespace peerlane::scsi
