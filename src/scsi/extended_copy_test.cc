#include "scsi/extended_copy.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"
#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

CopyOperatingParameters generous() {
  return {.no_list_identifier = true,
          .max_cscds = 8,
          .max_segments = 8,
          .max_descriptor_bytes = 2048,
          .max_inline_bytes = 512,
          .descriptor_types = {0x02, 0x04, 0x07, 0x0a, 0x14, 0xe4, 0xe5, 0xea, 0xeb, 0xfe}};
}

// What libiscsi's tests send: one unit, and a segment from its beginning to its end.
const auto kLibiscsi = bytes(
    "01 10 00 20 00 00 00 00 00 00 00 1c 00 00 00 00"
    "e4 00 00 00 01 03 00 08 39 09 53 12 22 05 51 eb 00 00 00 00 00 00 00 00 00 00 00 00 00 00 02 00"
    "02 00 00 18 00 00 00 00 00 00 08 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 78 00");

ExtendedCopy libiscsi() {
  return {.list_identifier = 1,
          .usage = ListIdUsage::kDiscard,
          .cscds = {{.unit = naa_designator(0x39095312220551eb), .block_length = 512}},
          .segments = {BlocksSegment{.blocks = 2048, .destination_lba = {0x7800}}}};
}

/// Everything at once.
ExtendedCopy full(CopyForm form) {
  ExtendedCopy copy{.form = form, .list_identifier = 0x7f, .sequential_striped = true, .priority = 5};
  if (form == CopyForm::kLid4) {
    copy.list_identifier = 0x12345678;
    copy.immediate = copy.good_with_sense = true;
  }
  copy.cscds = {{.unit = RemoteLun{.target = {.ipv6 = true, .port = 3260}}, .block_length = 4096},
                {.unit = naa_designator(1)},
                {.unit = RemoteDesignator{.designator = eui64_designator(2)}}};
  copy.segments = {VerifySegment{.source = 0}, BlocksSegment{.source = 2, .destination = 3, .blocks = 9},
                   BytesSegment{.source = kAddressedUnit, .destination = 2, .bytes = 77},
                   InlineSegment{.destination = 0, .offset = 2, .bytes = 3}};
  copy.inline_data = {1, 2, 3, 4, 5};
  return copy;
}

void expect_error(const std::expected<ExtendedCopy, Sense>& decoded, SenseCode code, std::optional<std::size_t> byte) {
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().key, SenseKey::kIllegalRequest);
  EXPECT_EQ(decoded.error().code, code);
  ASSERT_EQ(decoded.error().field.has_value(), byte.has_value());
  if (byte) {
    EXPECT_FALSE(decoded.error().field->in_cdb);
    EXPECT_EQ(decoded.error().field->byte, *byte);
  }
}

TEST(ExtendedCopy, EncodesAsLibiscsiDoesAndReadsBack) {
  EXPECT_EQ(encode_extended_copy(libiscsi()), kLibiscsi);
  EXPECT_EQ(decode_extended_copy(CopyForm::kLid1, kLibiscsi, generous()), libiscsi());
}

TEST(ExtendedCopy, BothFormsReadBack) {
  for (const CopyForm form : {CopyForm::kLid1, CopyForm::kLid4}) {
    EXPECT_EQ(decode_extended_copy(form, encode_extended_copy(full(form)), generous()), full(form));
    const ExtendedCopy nothing{.form = form};
    EXPECT_EQ(decode_extended_copy(form, encode_extended_copy(nothing), generous()), nothing);
  }
}

TEST(ExtendedCopy, TheHeaderOfLid4IsAsInTheStandard) {
  ExtendedCopy copy = libiscsi();
  copy.form = CopyForm::kLid4;
  copy.list_identifier = 0x01020304;
  copy.immediate = true;
  auto list = encode_extended_copy(copy);
  const std::vector<std::uint8_t> header(list.begin(), list.begin() + 48);
  EXPECT_EQ(header, bytes("01 10 00 20 00 00 00 00 00 00 00 00 00 00 00 01"
                          "ff 00 00 00 01 02 03 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
                          "00 20 00 1c 00 00"));
  for (const std::size_t byte : {0u, 2u, 16u}) {
    auto wrong = list;
    ++wrong[byte];
    expect_error(decode_extended_copy(CopyForm::kLid4, wrong, generous()), sense_codes::kInvalidFieldInParameterList,
                 byte);
  }
}

TEST(ExtendedCopy, EveryTruncationIsALengthError) {
  for (const CopyForm form : {CopyForm::kLid1, CopyForm::kLid4}) {
    const auto whole = encode_extended_copy(full(form));
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      expect_error(decode_extended_copy(form, part, generous()), sense_codes::kParameterListLengthError, std::nullopt);
    }
  }
}

TEST(ExtendedCopy, WhatFollowsTheInlineDataIsIgnored) {
  auto list = kLibiscsi;
  list.resize(list.size() + 100, 0xff);
  EXPECT_EQ(decode_extended_copy(CopyForm::kLid1, list, generous()), libiscsi());
}

TEST(ExtendedCopy, ListIdentifierUsage) {
  auto list = kLibiscsi;
  list[1] = 0x08;  // reserved
  expect_error(decode_extended_copy(CopyForm::kLid1, list, generous()), sense_codes::kInvalidFieldInParameterList, 1);
  list[1] = 0x18;  // no list identifier, and yet one
  expect_error(decode_extended_copy(CopyForm::kLid1, list, generous()), sense_codes::kInvalidFieldInParameterList, 0);
  list[0] = 0;
  EXPECT_EQ(decode_extended_copy(CopyForm::kLid1, list, generous())->usage, ListIdUsage::kNone);
  CopyOperatingParameters limits = generous();
  limits.no_list_identifier = false;
  expect_error(decode_extended_copy(CopyForm::kLid1, list, limits), sense_codes::kInvalidFieldInParameterList, 1);
  list[1] = 0x00;
  EXPECT_EQ(decode_extended_copy(CopyForm::kLid1, list, limits)->usage, ListIdUsage::kHold);
}

TEST(ExtendedCopy, AsManyDescriptorsAsStatedAndNoMore) {
  CopyOperatingParameters limits = generous();
  ExtendedCopy copy = libiscsi();
  copy.cscds.resize(8, copy.cscds[0]);
  copy.segments.resize(8, copy.segments[0]);
  EXPECT_TRUE(decode_extended_copy(CopyForm::kLid1, encode_extended_copy(copy), limits));

  ExtendedCopy many = copy;
  many.cscds.push_back(copy.cscds[0]);
  expect_error(decode_extended_copy(CopyForm::kLid1, encode_extended_copy(many), limits),
               sense_codes::kTooManyTargetDescriptors, 16 + 8 * 32);
  many = copy;
  many.segments.push_back(copy.segments[0]);
  expect_error(decode_extended_copy(CopyForm::kLid1, encode_extended_copy(many), limits),
               sense_codes::kTooManySegmentDescriptors, 16 + 8 * 32 + 8 * 28);

  limits.max_descriptor_bytes = 8 * 32 + 8 * 28;
  EXPECT_TRUE(decode_extended_copy(CopyForm::kLid1, encode_extended_copy(copy), limits));
  --limits.max_descriptor_bytes;
  expect_error(decode_extended_copy(CopyForm::kLid1, encode_extended_copy(copy), limits),
               sense_codes::kParameterListLengthError, std::nullopt);
}

TEST(ExtendedCopy, InlineDataAreHeldToTheirLimitAndSegmentsToThem) {
  CopyOperatingParameters limits = generous();
  ExtendedCopy copy = full(CopyForm::kLid1);
  limits.max_inline_bytes = 5;
  EXPECT_TRUE(decode_extended_copy(CopyForm::kLid1, encode_extended_copy(copy), limits));
  limits.max_inline_bytes = 4;
  expect_error(decode_extended_copy(CopyForm::kLid1, encode_extended_copy(copy), limits),
               sense_codes::kInlineDataLengthExceeded, 12);
  const std::size_t segment = 16 + (2 + 1 + 2) * 32 + 12 + 28 + 32;
  auto& data = std::get<InlineSegment>(copy.segments.back());
  for (const auto& [offset, size] : {std::pair{3u, 3u}, {6u, 0u}, {0xffffffffu, 2u}, {2u, 0xffffffffu}}) {
    data.offset = offset;
    data.bytes = size;
    expect_error(decode_extended_copy(CopyForm::kLid1, encode_extended_copy(copy), generous()),
                 sense_codes::kInlineDataLengthExceeded, segment);
  }
  data.offset = 5;
  data.bytes = 0;
  EXPECT_TRUE(decode_extended_copy(CopyForm::kLid1, encode_extended_copy(copy), generous()));
}

TEST(ExtendedCopy, OnlyWhatIsImplementedIsTaken) {
  CopyOperatingParameters limits = generous();
  limits.descriptor_types = {0x02};
  expect_error(decode_extended_copy(CopyForm::kLid1, kLibiscsi, limits), sense_codes::kUnsupportedTargetDescriptor, 16);
  limits.descriptor_types = {0xe4};
  expect_error(decode_extended_copy(CopyForm::kLid1, kLibiscsi, limits), sense_codes::kUnsupportedSegmentDescriptor,
               48);
  // What is said to be implemented, but is not known here.
  limits.descriptor_types = {0x00, 0x02, 0xe0, 0xe4};
  auto list = kLibiscsi;
  list[16] = 0xe0;
  expect_error(decode_extended_copy(CopyForm::kLid1, list, limits), sense_codes::kUnsupportedTargetDescriptor, 16);
  list = kLibiscsi;
  list[48] = 0x00;
  expect_error(decode_extended_copy(CopyForm::kLid1, list, limits), sense_codes::kUnsupportedSegmentDescriptor, 48);
}

TEST(ExtendedCopy, ListLengthsThatEndWithinADescriptor) {
  auto list = kLibiscsi;
  list[3] = 0x1f;
  expect_error(decode_extended_copy(CopyForm::kLid1, list, generous()), sense_codes::kInvalidFieldInParameterList, 2);
  list = kLibiscsi;
  list[11] = 0x1b;
  expect_error(decode_extended_copy(CopyForm::kLid1, list, generous()), sense_codes::kParameterListLengthError,
               std::nullopt);
  // Lengths whose sum wraps around 32 bits.
  list = kLibiscsi;
  std::fill_n(list.begin() + 8, 8, std::uint8_t{0xff});
  CopyOperatingParameters limits = generous();
  limits.max_descriptor_bytes = limits.max_inline_bytes = 0xffffffff;
  expect_error(decode_extended_copy(CopyForm::kLid1, list, limits), sense_codes::kParameterListLengthError,
               std::nullopt);
}

TEST(ExtendedCopy, SegmentsThatNameNothingAbortTheCopy) {
  // As libiscsi sends it: the source is in the list, the destination is not.
  auto list = kLibiscsi;
  list[48 + 7] = 1;
  const auto decoded = decode_extended_copy(CopyForm::kLid1, list, generous());
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().key, SenseKey::kCopyAborted);
  EXPECT_EQ(decoded.error().code, sense_codes::kUnreachableCopyTarget);
  EXPECT_EQ(decoded.error().command_specific, 0u);
  ASSERT_TRUE(decoded.error().field);
  EXPECT_TRUE(decoded.error().field->in_segment);
  EXPECT_EQ(decoded.error().field->byte, 6);

  ExtendedCopy copy = full(CopyForm::kLid4);
  for (const std::uint16_t id : std::initializer_list<std::uint16_t>{1, 4, 5, 0x7ff, kNullBlockUnit, kUnitOfRod}) {
    copy.segments[1] = BlocksSegment{.source = id, .destination = 0};
    const auto other = decode_extended_copy(CopyForm::kLid4, encode_extended_copy(copy), generous());
    ASSERT_FALSE(other) << id;
    EXPECT_EQ(other.error().key, SenseKey::kCopyAborted);
    EXPECT_EQ(other.error().command_specific, 1u);
    EXPECT_EQ(other.error().field->byte, 4);
  }
}

TEST(ExtendedCopy, DescriptorsAreFoundByTheirPlaceInTheList) {
  const ExtendedCopy copy = full(CopyForm::kLid1);
  EXPECT_EQ(find_cscd(copy, 0), &copy.cscds[0]);
  EXPECT_EQ(find_cscd(copy, 1), nullptr);  // the extension
  EXPECT_EQ(find_cscd(copy, 2), &copy.cscds[1]);
  EXPECT_EQ(find_cscd(copy, 3), &copy.cscds[2]);
  EXPECT_EQ(find_cscd(copy, 4), nullptr);
  EXPECT_EQ(find_cscd(copy, 5), nullptr);
  EXPECT_EQ(find_cscd(copy, kAddressedUnit), nullptr);
}

TEST(ExtendedCopy, DamagedListsAreReadWithinTheirBounds) {
  std::mt19937 random(3);
  for (const CopyForm form : {CopyForm::kLid1, CopyForm::kLid4}) {
    const auto whole = encode_extended_copy(full(form));
    unsigned read = 0;
    for (unsigned round = 0; round < 20000; ++round) {
      auto list = whole;
      list.resize(random() % 2 == 0 ? whole.size() : random() % (whole.size() + 1));
      for (unsigned damage = random() % 4; damage > 0 && !list.empty(); --damage) {
        list[random() % list.size()] = static_cast<std::uint8_t>(random());
      }
      const auto decoded = decode_extended_copy(form, list, generous());
      if (!decoded) continue;
      ++read;
      EXPECT_EQ(decode_extended_copy(form, encode_extended_copy(*decoded), generous()), *decoded);
    }
    EXPECT_GT(read, 1000u);
  }
}

}  // namespace
}  // namespace peerlane::scsi
