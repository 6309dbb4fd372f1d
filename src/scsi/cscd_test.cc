#include "scsi/cscd.h"

#include <algorithm>
#include <optional>
#include <random>

#include <gtest/gtest.h>

#include "scsi/sense_codes.h"
#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

constexpr std::size_t kPosition = 0x50;  // where in a parameter list the descriptor is said to be

// As libiscsi sends it: NAA 3h.
const auto kNaa =
    bytes("e4 00 00 00 01 03 00 08 39 09 53 12 22 05 51 eb 00 00 00 00 00 00 00 00 00 00 00 00 00 00 02 00");
const auto kIpv4 =
    bytes("e5 00 00 02 40 01 00 00 00 00 00 00 c0 00 02 07 00 00 00 00 00 00 0c bc 00 00 00 06 04 00 10 00");
const auto kIpv6 = bytes(
    "ea 00 00 00 00 03 00 00 00 00 00 00 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 09 00 00 02 00"
    "ff 00 00 00 0c bc 00 06 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
const auto kService = bytes(
    "eb 00 00 00 00 00 00 00 00 00 00 00 c0 00 02 07 00 00 00 00 00 00 00 00 00 00 00 00 00 00 02 00"
    "ff 00 00 00 0c bc 00 06 01 03 00 08 39 09 53 12 22 05 51 eb 00 00 00 00 00 00 00 00 00 00 00 00");
const auto kRod =
    bytes("fe 00 00 00 00 03 00 00 00 01 00 00 00 00 02 58 00 00 00 3c 00 00 01 01 00 00 02 00 00 00 02 00");

struct Case {
  const std::vector<std::uint8_t>& wire;
  Cscd cscd;
};

std::vector<Case> cases() {
  const Designator naa = naa_designator(0x39095312220551eb);
  return {
      {kNaa, {.unit = naa, .block_length = 512}},
      {kIpv4,
       {.unit = RemoteLun{.target = {.address = {192, 0, 2, 7}, .port = 3260, .protocol = 6}, .lun = 0x4001ull << 48},
        .relative_initiator_port = 2,
        .pad = true,
        .block_length = 4096}},
      {kIpv6,
       {.unit = RemoteLun{.target = {.ipv6 = true,
                                     .address = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9},
                                     .port = 3260,
                                     .protocol = 6},
                          .lun = 3ull << 48},
        .block_length = 512}},
      {kService,
       {.unit =
            RemoteDesignator{.service = {.address = {192, 0, 2, 7}, .port = 3260, .protocol = 6}, .designator = naa},
        .block_length = 512}},
      {kRod,
       {.unit = RodReference{.producer = 3,
                             .type = 0x00010000,
                             .lifetime = 600,
                             .inactivity_timeout = 60,
                             .remote_token = true,
                             .delete_token = true,
                             .token_offset = 512},
        .block_length = 512}},
  };
}

void expect_error(const std::expected<Cscd, Sense>& decoded, SenseCode code, std::size_t byte) {
  ASSERT_FALSE(decoded);
  EXPECT_EQ(decoded.error().key, SenseKey::kIllegalRequest);
  EXPECT_EQ(decoded.error().code, code);
  ASSERT_TRUE(decoded.error().field);
  EXPECT_FALSE(decoded.error().field->in_cdb);
  EXPECT_EQ(decoded.error().field->byte, kPosition + byte);
}

TEST(Cscd, EncodesAsOnTheWireAndReadsBack) {
  for (const Case& c : cases()) {
    std::vector<std::uint8_t> out{0xee};
    append_cscd(c.cscd, out);
    EXPECT_EQ(std::vector<std::uint8_t>(out.begin() + 1, out.end()), c.wire);
    EXPECT_EQ(cscd_bytes(c.cscd), c.wire.size());
    EXPECT_EQ(cscd_type(c.cscd), c.wire[0]);
    const auto decoded = decode_cscd(c.wire, kPosition);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(*decoded, c.cscd);
  }
}

TEST(Cscd, IgnoresWhatFollows) {
  for (const Case& c : cases()) {
    auto list = c.wire;
    list.insert(list.end(), 32, 0xff);
    EXPECT_EQ(decode_cscd(list, kPosition), c.cscd);
  }
}

TEST(Cscd, ParametersOfOtherDevicesAreNoBlockLength) {
  auto tape = kNaa;
  tape[1] = 0x01;
  tape[28] = 0x05;
  const auto decoded = decode_cscd(tape, kPosition);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->peripheral_type, 1);
  EXPECT_EQ(decoded->block_length, 0u);
  EXPECT_FALSE(decoded->pad);
  for (const std::uint8_t type : bytes("00 04 05 07 0e")) EXPECT_TRUE(is_block_device(type));
  for (const std::uint8_t type : bytes("01 03 08 0d 1f")) EXPECT_FALSE(is_block_device(type));
}

TEST(Cscd, TheNullDeviceIsAValue) {
  auto null = kNaa;
  null[1] = 0x20;
  EXPECT_TRUE(decode_cscd(null, kPosition)->null_device);
}

TEST(Cscd, WhatIsWrongIsNamedWithItsPlace) {
  // As libiscsi sends them.
  auto port_name = std::vector<std::uint8_t>(kCscdBytes);
  port_name[0] = 0xe0;
  expect_error(decode_cscd(port_name, kPosition), sense_codes::kUnsupportedTargetDescriptor, 0);
  auto reserved_lu_id_type = kNaa;
  reserved_lu_id_type[1] = 0x80;
  EXPECT_TRUE(decode_cscd(reserved_lu_id_type, kPosition));

  auto proxy_token = kIpv4;
  proxy_token[1] = 0x40;
  expect_error(decode_cscd(proxy_token, kPosition), sense_codes::kInvalidFieldInParameterList, 1);
  auto too_long = kNaa;
  too_long[7] = 20;
  EXPECT_TRUE(decode_cscd(too_long, kPosition));
  too_long[7] = 21;
  expect_error(decode_cscd(too_long, kPosition), sense_codes::kInvalidFieldInParameterList, 7);
  too_long = kService;
  too_long[43] = 0xff;
  expect_error(decode_cscd(too_long, kPosition), sense_codes::kInvalidFieldInParameterList, 43);
}

TEST(Cscd, ExtensionsAreThereWhereTheyMustAndNowhereElse) {
  for (const auto& whole : {kIpv6, kService}) {
    expect_error(decode_cscd(ByteView(whole).first(kCscdBytes), kPosition), sense_codes::kInvalidFieldInParameterList,
                 0);
    auto other = whole;
    other[32] = kIdentificationCscd;
    expect_error(decode_cscd(other, kPosition), sense_codes::kInvalidFieldInParameterList, 0);
  }
  expect_error(decode_cscd(ByteView(kIpv6).subspan(kCscdBytes), kPosition), sense_codes::kUnsupportedTargetDescriptor,
               0);
}

TEST(Cscd, LongDesignatorsAreCutToWhatFits) {
  const Designator name = scsi_name_designator(Association::kLogicalUnit, "iqn.2004-10.org.example:a.long.name");
  std::vector<std::uint8_t> out;
  append_cscd({.unit = name}, out);
  const auto decoded = decode_cscd(out, kPosition);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(std::get<Designator>(decoded->unit).bytes.size(), kMostCscdDesignatorBytes);
}

TEST(Cscd, TheBestDesignatorThatFitsNamesAUnit) {
  const Designator naa = naa_designator(1);
  const Designator eui = eui64_designator(2);
  const Designator t10 = t10_vendor_designator("PEERLANE", "disk");
  Designator of_port = naa_designator(3);
  of_port.association = Association::kTargetPort;
  Designator long_naa = naa;
  long_naa.bytes.resize(21);
  const auto best = [](std::vector<Designator> designators) -> std::optional<Designator> {
    const Designator* const found = copy_designator(designators);
    return found == nullptr ? std::nullopt : std::optional(*found);
  };
  EXPECT_EQ(best({t10, relative_target_port_designator(1), eui, of_port, naa}), naa);
  EXPECT_EQ(best({t10, long_naa, eui}), eui);
  EXPECT_EQ(best({t10, of_port}), t10);
  EXPECT_EQ(best({of_port, relative_target_port_designator(1), Designator{}}), std::nullopt);
  EXPECT_EQ(best({}), std::nullopt);
}

TEST(Cscd, DesignatorsAreComparedWithWhatAUnitStates) {
  const Designator sent = std::get<Designator>(decode_cscd(kNaa, kPosition)->unit);
  Designator stated = naa_designator(0x39095312220551eb);
  EXPECT_TRUE(same_unit(sent, stated));
  stated.protocol = kProtocolIscsi;
  EXPECT_TRUE(same_unit(sent, stated));
  stated.association = Association::kTargetPort;
  EXPECT_FALSE(same_unit(sent, stated));
  EXPECT_FALSE(same_unit(sent, naa_designator(0x39095312220551ec)));
  EXPECT_FALSE(same_unit(sent, eui64_designator(0x39095312220551eb)));
  // One that was cut to fit is not what the unit is called, and what is longer is another.
  Designator longer = sent;
  longer.bytes.resize(kMostCscdDesignatorBytes);
  Designator longest = longer;
  longest.bytes.resize(kMostCscdDesignatorBytes + 1);
  EXPECT_FALSE(same_unit(sent, longer));
  EXPECT_FALSE(same_unit(longer, longest));
  EXPECT_TRUE(same_unit(longer, longer));
}

TEST(Cscd, AnyBytesAreReadWithinTheirBoundsAndEncodeToTheSameValue) {
  std::mt19937 random(1);
  constexpr std::uint8_t kTypes[] = {0xe4, 0xe5, 0xea, 0xeb, 0xfe, 0xff, 0xe6};
  for (unsigned round = 0; round < 20000; ++round) {
    std::vector<std::uint8_t> list(random() % 2 == 0 ? kCscdBytes : 2 * kCscdBytes);
    std::ranges::generate(list, [&] { return static_cast<std::uint8_t>(random()); });
    list[0] = kTypes[random() % std::size(kTypes)];
    if (random() % 4 != 0) list[1] &= 0x3f;
    if (random() % 4 != 0) list[7] &= 0x0f;
    if (list.size() > kCscdBytes && random() % 4 != 0) {
      list[32] = 0xff;
      list[43] &= 0x0f;
    }
    const auto decoded = decode_cscd(list, kPosition);
    if (!decoded) continue;
    std::vector<std::uint8_t> again;
    append_cscd(*decoded, again);
    EXPECT_EQ(decode_cscd(again, kPosition), *decoded);
  }
}

}  // namespace
}  // namespace peerlane::scsi
