#include "scsi/sense.h"

#include <array>

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"
#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

std::vector<std::uint8_t> encode(const Sense& sense, bool descriptor_format) {
  std::array<std::uint8_t, kMaxSenseBytes> out;
  out.fill(0xee);  // everything that counts must be written
  return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(encode_sense(sense, descriptor_format, out))};
}

Sense medium_error(std::uint64_t information) {
  Sense sense;
  sense.key = SenseKey::kMediumError;
  sense.code = sense_codes::kUnrecoveredReadError;
  sense.information = information;
  return sense;
}

void expect_same(const Sense& a, const Sense& b) {
  EXPECT_EQ(a.key, b.key);
  EXPECT_EQ(a.code, b.code);
  EXPECT_EQ(a.information, b.information);
  EXPECT_EQ(a.command_specific, b.command_specific);
  ASSERT_EQ(a.field.has_value(), b.field.has_value());
  if (a.field) {
    EXPECT_EQ(a.field->in_cdb, b.field->in_cdb);
    EXPECT_EQ(a.field->in_segment, b.field->in_segment);
    EXPECT_EQ(a.field->bit, b.field->bit);
    EXPECT_EQ(a.field->byte, b.field->byte);
  }
  EXPECT_EQ(a.progress, b.progress);
  EXPECT_EQ(a.deferred, b.deferred);
}

Sense sanitize_in_progress(std::uint16_t progress) {
  Sense sense;
  sense.key = SenseKey::kNotReady;
  sense.code = sense_codes::kSanitizeInProgress;
  sense.progress = progress;
  return sense;
}

TEST(Sense, FixedFormatIsAsInTheStandard) {
  EXPECT_EQ(encode({}, false), bytes("70 00 00 00 00 00 00 0a 00 00 00 00 00 00 00 00 00 00"));
  // What tgt answers to a READ past the end.
  EXPECT_EQ(encode(illegal_request(sense_codes::kLbaOutOfRange), false),
            bytes("70 00 05 00 00 00 00 0a 00 00 00 00 21 00 00 00 00 00"));
  EXPECT_EQ(encode(invalid_field_in_cdb(1, std::uint8_t{7}), false),
            bytes("70 00 05 00 00 00 00 0a 00 00 00 00 24 00 00 cf 00 01"));
  EXPECT_EQ(encode(invalid_field_in_cdb(0x1234), false),
            bytes("70 00 05 00 00 00 00 0a 00 00 00 00 24 00 00 c0 12 34"));
  EXPECT_EQ(encode(invalid_field_in_parameter_list(8), false),
            bytes("70 00 05 00 00 00 00 0a 00 00 00 00 26 00 00 80 00 08"));
  EXPECT_EQ(encode(medium_error(0x12345678), false), bytes("f0 00 03 12 34 56 78 0a 00 00 00 00 11 00 00 00 00 00"));
}

TEST(Sense, FixedFormatDoesNotTruncateInformation) {
  EXPECT_EQ(encode(medium_error(0x100000000), false), bytes("70 00 03 00 00 00 00 0a 00 00 00 00 11 00 00 00 00 00"));
  EXPECT_EQ(encode(medium_error(0xffffffff), false)[0], 0xf0);
}

TEST(Sense, DescriptorFormatIsAsInTheStandard) {
  EXPECT_EQ(encode({}, true), bytes("72 00 00 00 00 00 00 00"));
  EXPECT_EQ(encode(medium_error(0x123456789abc), true),
            bytes("72 03 11 00 00 00 00 0c 00 0a 80 00 00 00 12 34 56 78 9a bc"));
  EXPECT_EQ(encode(invalid_field_in_cdb(1, std::uint8_t{7}), true),
            bytes("72 05 24 00 00 00 00 08 02 06 00 00 cf 00 01 00"));
}

TEST(Sense, ProgressIsInBothFormats) {
  EXPECT_EQ(encode(sanitize_in_progress(0x1234), false),
            bytes("70 00 02 00 00 00 00 0a 00 00 00 00 04 1b 00 80 12 34"));
  EXPECT_EQ(encode(sanitize_in_progress(0x1234), true), bytes("72 02 04 1b 00 00 00 08 02 06 00 00 80 12 34 00"));
}

Sense copy_aborted(std::uint64_t segment) {
  Sense sense;
  sense.key = SenseKey::kCopyAborted;
  sense.code = sense_codes::kUnreachableCopyTarget;
  sense.command_specific = segment;
  sense.field = FieldPointer{.in_cdb = false, .bit = {}, .byte = 0x54, .in_segment = true};
  return sense;
}

TEST(Sense, AnAbortedCopySaysWhichSegmentAndWhere) {
  EXPECT_EQ(encode(copy_aborted(3), false), bytes("70 00 0a 00 00 00 00 0a 00 00 00 03 08 04 00 a0 00 54"));
  EXPECT_EQ(encode(copy_aborted(3), true),
            bytes("72 0a 08 04 00 00 00 14 01 0a 00 00 00 00 00 00 00 00 00 03 02 06 00 00 a0 00 54 00"));
  // What does not fit is left out rather than cut.
  EXPECT_EQ(decode_sense(encode(copy_aborted(0x100000000), false))->command_specific, std::nullopt);
  EXPECT_EQ(decode_sense(encode(copy_aborted(0x100000000), true))->command_specific, 0x100000000u);
  // With ILLEGAL REQUEST that bit is none of the field pointer's, and with COPY ABORTED the CDB's is none.
  const auto decoded = decode_sense(bytes("70 00 05 00 00 00 00 0a 00 00 00 00 26 00 00 a0 00 08"));
  EXPECT_FALSE(decoded->field->in_segment);
  EXPECT_FALSE(decode_sense(bytes("70 00 0a 00 00 00 00 0a 00 00 00 00 08 04 00 c0 00 08"))->field->in_cdb);
}

TEST(Sense, DeferredErrorsHaveResponseCodesOfTheirOwn) {
  Sense deferred = medium_error(3);
  deferred.deferred = true;
  EXPECT_EQ(encode(deferred, false), bytes("f1 00 03 00 00 00 03 0a 00 00 00 00 11 00 00 00 00 00"));
  EXPECT_EQ(encode(deferred, true), bytes("73 03 11 00 00 00 00 0c 00 0a 80 00 00 00 00 00 00 00 00 03"));
}

TEST(Sense, BothFormatsReadBack) {
  Sense deferred = medium_error(3);
  deferred.deferred = true;
  Sense everything = invalid_field_in_parameter_list(513);
  everything.field->bit = 0;
  everything.information = 77;
  for (const Sense& sense : {Sense{}, medium_error(3), invalid_field_in_cdb(15), everything, deferred,
                             sanitize_in_progress(0x8001), copy_aborted(1)}) {
    for (const bool descriptor_format : {false, true}) {
      const auto decoded = decode_sense(encode(sense, descriptor_format));
      ASSERT_TRUE(decoded);
      expect_same(*decoded, sense);
    }
  }
}

TEST(Sense, EveryTruncationIsReadWithoutReadingPastIt) {
  for (const bool descriptor_format : {false, true}) {
    Sense sense = invalid_field_in_cdb(3, std::uint8_t{4});
    sense.information = 9;
    const auto whole = encode(sense, descriptor_format);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const auto decoded = decode_sense(part);
      EXPECT_EQ(decoded.has_value(), size >= 8) << size;
      if (decoded) {
        EXPECT_EQ(decoded->key, SenseKey::kIllegalRequest);
      }
    }
  }
}

TEST(Sense, OddDataAreTolerated) {
  EXPECT_FALSE(decode_sense(bytes("00 00 05 00 00 00 00 0a 00 00 00 00 21 00 00 00 00 00")));
  EXPECT_FALSE(decode_sense(bytes("7f 00 05 00 00 00 00 0a 00 00 00 00 21 00 00 00 00 00")));
  // ADDITIONAL SENSE LENGTH 0: bytes 12 on are not sense data.
  EXPECT_EQ(decode_sense(bytes("70 00 05 00 00 00 00 00 00 00 00 00 21 00 00 00 00 00"))->code, sense_codes::kNone);
  // An unknown descriptor before a known one, then one that claims more than there is.
  const auto decoded =
      decode_sense(bytes("72 03 11 00 00 00 00 14 7f 02 aa bb 00 0a 80 00 00 00 00 00 00 00 00 05 02 40 ff ff"));
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->information, 5u);
  // A sense key specific field that is not a field pointer (progress of NOT READY) is none.
  EXPECT_FALSE(decode_sense(bytes("70 00 02 00 00 00 00 0a 00 00 00 00 04 04 00 80 12 34"))->field);
  // Deferred errors.
  EXPECT_EQ(decode_sense(bytes("71 00 03 00 00 00 00 0a 00 00 00 00 0c 00 00 00 00 00"))->code,
            sense_codes::kWriteError);
  EXPECT_EQ(decode_sense(bytes("73 03 0c 00 00 00 00 00"))->code, sense_codes::kWriteError);
}

}  // namespace
}  // namespace peerlane::scsi
