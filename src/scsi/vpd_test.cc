#include "scsi/vpd.h"

#include <array>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

/// Runs an encoder on a page that is full of rubbish.
template <typename Encode>
std::vector<std::uint8_t> page(Encode encode) {
  std::vector<std::uint8_t> out(kMaxVpdBytes, 0xee);
  out.resize(encode(ByteSpan(out)));
  return out;
}

/// Every shorter form of `whole` must be read without reading past its end.
template <typename Decode>
void truncate(const std::vector<std::uint8_t>& whole, Decode decode) {
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto decoded = decode(part);
    EXPECT_TRUE(size >= kVpdHeaderBytes || !decoded) << size;
  }
}

TEST(Vpd, SupportedPages) {
  const std::array pages{
      VpdPage::kSupportedPages, VpdPage::kUnitSerialNumber,           VpdPage::kDeviceIdentification,
      VpdPage::kBlockLimits,    VpdPage::kBlockDeviceCharacteristics, VpdPage::kLogicalBlockProvisioning};
  const auto encoded = page([&](ByteSpan out) { return encode_supported_pages({}, pages, out); });
  EXPECT_EQ(encoded, bytes("00 00 00 06 00 80 83 b0 b1 b2"));  // as tgt sends it
  EXPECT_EQ(decode_supported_pages(encoded), std::vector<VpdPage>(pages.begin(), pages.end()));
  EXPECT_FALSE(decode_supported_pages(bytes("00 80 00 00")));
  truncate(encoded, decode_supported_pages);
}

TEST(Vpd, UnitSerialNumber) {
  const auto encoded = page([](ByteSpan out) { return encode_unit_serial_number({}, "0123456789abcdef", out); });
  EXPECT_EQ(encoded, bytes("00 80 00 10 30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66"));
  EXPECT_EQ(decode_unit_serial_number(encoded), "0123456789abcdef");
  truncate(encoded, decode_unit_serial_number);
}

TEST(Vpd, DeviceIdentification) {
  const std::vector<Designator> designators{
      naa_designator(locally_assigned_naa(0xf123456789abcdef)),
      t10_vendor_designator("PEERLANE", "1"),
      eui64_designator(0x0011223344556677),
      relative_target_port_designator(2),
      target_port_group_designator(3),
      scsi_name_designator(Association::kTargetDevice, "iqn.2026-11.x"),
      scsi_name_designator(Association::kLogicalUnit, "abcd"),
  };
  const auto encoded = page([&](ByteSpan out) { return encode_device_identification({}, designators, out); });
  EXPECT_EQ(encoded, bytes("00 83 00 55"
                           "01 03 00 08 31 23 45 67 89 ab cd ef"
                           "02 01 00 09 50 45 45 52 4c 41 4e 45 31"
                           "01 02 00 08 00 11 22 33 44 55 66 77"
                           "51 94 00 04 00 00 00 02"
                           "51 95 00 04 00 00 00 03"
                           "53 a8 00 10 69 71 6e 2e 32 30 32 36 2d 31 31 2e 78 00 00 00"
                           "03 08 00 08 61 62 63 64 00 00 00 00"));
  EXPECT_EQ(decode_device_identification(encoded), designators);
  truncate(encoded, decode_device_identification);
}

TEST(Vpd, DesignatorsThatDoNotFitAreLeftOut) {
  const std::vector<Designator> designators(20,
                                            scsi_name_designator(Association::kTargetDevice, std::string(223, 'x')));
  const auto encoded = page([&](ByteSpan out) { return encode_device_identification({}, designators, out); });
  EXPECT_LE(encoded.size(), kMaxVpdBytes);
  const auto decoded = decode_device_identification(encoded);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->size(), (kMaxVpdBytes - kVpdHeaderBytes) / 228);
}

TEST(Vpd, DeviceIdentificationAsTgtSendsIt) {
  const auto designators = decode_device_identification(
      bytes("00 83 00 48 02 01 00 24 49 45 54 20 20 20 20 20 30 30 30 31 30 30 30 31 00 00 00 00 00 00 00 00"
            "00 00 00 00 00 00 00 00 00 00 00 00 01 03 00 08 30 00 00 01 00 00 00 01 01 03 00 10 60 00 00 00"
            "00 00 00 00 0e 00 00 00 00 01 00 01"));
  ASSERT_TRUE(designators);
  ASSERT_EQ(designators->size(), 3u);
  EXPECT_EQ((*designators)[0].type, DesignatorType::kT10VendorId);
  EXPECT_EQ((*designators)[1], naa_designator(locally_assigned_naa(0x100000001)));
  EXPECT_EQ((*designators)[2].bytes.size(), 16u);
}

TEST(Vpd, BlockLimits) {
  BlockLimits limits;
  limits.write_same_non_zero = true;
  limits.max_compare_and_write = 128;
  limits.transfer_granularity = 8;
  limits.max_transfer = 0x8000;
  limits.optimal_transfer = 0x200;
  limits.max_prefetch = 0x01020304;
  limits.max_unmap_blocks = 0x100000;
  limits.max_unmap_descriptors = 0x100;
  limits.unmap_granularity = 8;
  limits.unmap_alignment = 0;
  limits.max_write_same = 0x1122334455667788;
  limits.max_atomic_transfer = 0x800;
  limits.atomic_alignment = 8;
  limits.atomic_granularity = 4;
  const auto encoded = page([&](ByteSpan out) { return encode_block_limits({}, limits, out); });
  EXPECT_EQ(encoded,
            bytes("00 b0 00 3c 01 80 00 08 00 00 80 00 00 00 02 00 01 02 03 04 00 10 00 00 00 00 01 00 00 00 00 08"
                  "80 00 00 00 11 22 33 44 55 66 77 88 00 00 08 00 00 00 00 08 00 00 00 04 00 00 00 00 00 00 00 00"));
  EXPECT_EQ(decode_block_limits(encoded), limits);
  limits.unmap_alignment.reset();
  EXPECT_EQ(decode_block_limits(page([&](ByteSpan out) { return encode_block_limits({}, limits, out); })), limits);
  truncate(encoded, decode_block_limits);
  // The page of SBC-2.
  const auto old = decode_block_limits(bytes("00 b0 00 0c 00 00 00 08 00 00 04 00 00 00 02 00"));
  ASSERT_TRUE(old);
  EXPECT_EQ(old->max_transfer, 0x400u);
  EXPECT_EQ(old->max_unmap_blocks, 0u);
  EXPECT_FALSE(decode_block_limits(bytes("00 b0 00 0b 00 00 00 08 00 00 04 00 00 00 02")));
}

TEST(Vpd, BlockLimitsAsTgtSendsThem) {
  const auto limits = decode_block_limits(
      bytes("00 b0 00 3c 00 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff ff ff ff ff ff ff 00 00 00 00"
            "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"));
  ASSERT_TRUE(limits);
  EXPECT_EQ(limits->max_compare_and_write, 128);
  EXPECT_EQ(limits->max_unmap_blocks, UINT32_MAX);
  EXPECT_FALSE(limits->unmap_alignment);
}

TEST(Vpd, BlockDeviceCharacteristics) {
  const DeviceCharacteristics characteristics{.rotation_rate = 7200, .after_block_erase = AfterBlockErase::kReads};
  const auto encoded =
      page([&](ByteSpan out) { return encode_block_device_characteristics({}, characteristics, out); });
  ASSERT_EQ(encoded.size(), 64u);
  EXPECT_TRUE(std::equal(encoded.begin(), encoded.begin() + 8, bytes("00 b1 00 3c 1c 20 00 40").begin()));
  EXPECT_EQ(decode_block_device_characteristics(encoded), characteristics);
  truncate(encoded, decode_block_device_characteristics);
}

TEST(Vpd, LogicalBlockProvisioning) {
  LogicalBlockProvisioning provisioning;
  provisioning.unmap = true;
  provisioning.write_same_16 = true;
  provisioning.write_same_10 = true;
  provisioning.reads_zeroes = true;
  provisioning.type = ProvisioningType::kThin;
  const auto encoded = page([&](ByteSpan out) { return encode_logical_block_provisioning({}, provisioning, out); });
  EXPECT_EQ(encoded, bytes("00 b2 00 04 00 e4 02 00"));  // as tgt sends it
  EXPECT_EQ(decode_logical_block_provisioning(encoded), provisioning);
  provisioning.anchor = true;
  EXPECT_EQ(decode_logical_block_provisioning(
                page([&](ByteSpan out) { return encode_logical_block_provisioning({}, provisioning, out); })),
            provisioning);
  truncate(encoded, decode_logical_block_provisioning);
}

TEST(Vpd, ExtendedInquiry) {
  const ExtendedInquiry inquiry{.head_of_queue = true,
                                .ordered = true,
                                .simple = true,
                                .volatile_cache = true,
                                .luns_changed_once = true,
                                .max_sense_bytes = 252};
  std::vector<std::uint8_t> out(kMaxVpdBytes, 0xee);
  out.resize(encode_extended_inquiry({}, inquiry, out));
  ASSERT_EQ(out.size(), 64u);
  EXPECT_EQ(std::vector(out.begin(), out.begin() + 16), bytes("00 86 00 3c 00 07 01 01 00 00 00 00 00 fc 00 00"));
  EXPECT_EQ(decode_extended_inquiry(out), inquiry);
  EXPECT_FALSE(decode_extended_inquiry(ByteView(out).first(13)));
}

TEST(Vpd, ModePagePolicy) {
  const std::vector<ModePagePolicy> policies{
      {}, {.page = 0x0a, .subpage = 0x01, .several_units = true, .policy = ModePolicy::kPerNexus}};
  std::vector<std::uint8_t> out(kMaxVpdBytes, 0xee);
  out.resize(encode_mode_page_policy({}, policies, out));
  EXPECT_EQ(out, bytes("00 87 00 08 3f ff 00 00 0a 01 83 00"));
  EXPECT_EQ(decode_mode_page_policy(out), policies);
}

TEST(Vpd, ScsiPorts) {
  const std::vector<ScsiPort> ports{{1, {scsi_name_designator(Association::kTargetPort, "iqn.a,t,0x0001")}}, {2, {}}};
  std::vector<std::uint8_t> out(kMaxVpdBytes, 0xee);
  out.resize(encode_scsi_ports({}, ports, out));
  EXPECT_EQ(out, bytes("00 88 00 2c"
                       "00 00 00 01 00 00 00 00 00 00 00 14 53 98 00 10 69 71 6e 2e 61 2c 74 2c 30 78 30 30 30 31 00 00"
                       "00 00 00 02 00 00 00 00 00 00 00 00"));
  EXPECT_EQ(decode_scsi_ports(out), ports);
  for (std::size_t size = 4; size < out.size(); ++size) {
    EXPECT_EQ(decode_scsi_ports(ByteView(out).first(size))->size(), size >= 36 ? 1u : 0u);
  }
  std::vector<std::uint8_t> small(40, 0xee);
  EXPECT_EQ(encode_scsi_ports({}, ports, small), 36u);
  EXPECT_EQ(get_be16(small, 2), 32u);
}

}  // namespace
}  // namespace peerlane::scsi
