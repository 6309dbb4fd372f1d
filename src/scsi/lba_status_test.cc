#include "scsi/lba_status.h"

#include <array>
#include <vector>

#include <gtest/gtest.h>

namespace peerlane::scsi {
namespace {

TEST(LbaStatus, EncodesWhatItDecodes) {
  const std::array<LbaStatus, 2> descriptors{
      LbaStatus{Lba{0x1122334455667788}, BlockCount{0x99aabbcc}, ProvisioningStatus::kDeallocated},
      LbaStatus{Lba{7}, BlockCount{1}, ProvisioningStatus::kMapped}};
  std::array<std::uint8_t, 64> bytes{};
  const std::size_t size = encode_lba_status(descriptors, bytes);
  EXPECT_EQ(size, 40u);
  const std::vector<std::uint8_t> head(bytes.begin(), bytes.begin() + 24);
  EXPECT_EQ(head, (std::vector<std::uint8_t>{0,    0,    0,    36,   0,    0,    0,    0,    0x11, 0x22, 0x33, 0x44,
                                             0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 1,    0,    0,    0}));
  EXPECT_EQ(lba_status_entry(bytes, 0), descriptors[0]);
  EXPECT_EQ(lba_status_entry(bytes, 1), descriptors[1]);
  EXPECT_FALSE(lba_status_entry(bytes, 2).has_value());
}

TEST(LbaStatus, DataThatWereCutShortHoldFewerDescriptors) {
  const std::array<LbaStatus, 2> descriptors{LbaStatus{}, LbaStatus{}};
  std::array<std::uint8_t, 40> bytes{};
  encode_lba_status(descriptors, bytes);
  EXPECT_FALSE(lba_status_entry(ByteView(bytes).first(7), 0).has_value());
  EXPECT_FALSE(lba_status_entry(ByteView(bytes).first(23), 0).has_value());
  EXPECT_TRUE(lba_status_entry(ByteView(bytes).first(39), 0).has_value());
  EXPECT_FALSE(lba_status_entry(ByteView(bytes).first(39), 1).has_value());
  bytes[3] = 4 + 16;  // the length says one, whatever follows
  EXPECT_FALSE(lba_status_entry(bytes, 1).has_value());
}

}  // namespace
}  // namespace peerlane::scsi
