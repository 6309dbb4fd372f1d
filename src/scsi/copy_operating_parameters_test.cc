#include "scsi/copy_operating_parameters.h"

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

// FreeBSD's.
const auto kFreeBsd = bytes(
    "00 00 00 2c 01 00 00 00 00 40 00 40 00 00 20 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    "00 00 00 ff ff 00 00 00 00 00 00 04 02 07 14 e4");

TEST(CopyOperatingParameters, EncodesAsOthersDoAndReadsBack) {
  const CopyOperatingParameters parameters{.no_list_identifier = true,
                                           .max_cscds = 64,
                                           .max_segments = 64,
                                           .max_descriptor_bytes = 8192,
                                           .total_copies = 255,
                                           .concurrent_copies = 255,
                                           .descriptor_types = {0x02, 0x07, 0x14, 0xe4}};
  EXPECT_EQ(encode_copy_operating_parameters(parameters), kFreeBsd);
  EXPECT_EQ(decode_copy_operating_parameters(kFreeBsd), parameters);
  EXPECT_TRUE(parameters.implements(0xe4));
  EXPECT_FALSE(parameters.implements(0xe5));
}

TEST(CopyOperatingParameters, AllFieldsHaveTheirPlaces) {
  CopyOperatingParameters parameters{.max_cscds = 0x0102,
                                     .max_segments = 0x0304,
                                     .max_descriptor_bytes = 0x05060708,
                                     .max_segment_bytes = 0x090a0b0c,
                                     .max_inline_bytes = 0x0d0e0f10,
                                     .held_data_bytes = 0x11121314,
                                     .max_stream_transfer = 0x15161718,
                                     .total_copies = 0x191a,
                                     .concurrent_copies = 0x1b,
                                     .data_granularity = 0x1c,
                                     .inline_granularity = 0x1d,
                                     .held_granularity = 0x1e};
  const auto encoded = encode_copy_operating_parameters(parameters);
  EXPECT_EQ(encoded, bytes("00 00 00 28 00 00 00 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10 11 12 13 14 15 16"
                           "17 18 00 00 19 1a 1b 1c 1d 1e 00 00 00 00"));
  EXPECT_EQ(decode_copy_operating_parameters(encoded), parameters);
}

TEST(CopyOperatingParameters, TruncationsLoseTypesOnly) {
  for (std::size_t size = 0; size < kFreeBsd.size(); ++size) {
    const std::vector<std::uint8_t> part(kFreeBsd.begin(), kFreeBsd.begin() + static_cast<std::ptrdiff_t>(size));
    const auto decoded = decode_copy_operating_parameters(part);
    ASSERT_EQ(decoded.has_value(), size >= 44);
    if (decoded) {
      EXPECT_EQ(decoded->descriptor_types.size(), size - 44);
    }
  }
}

}  // namespace
}  // namespace peerlane::scsi
