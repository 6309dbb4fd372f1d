#include "scsi/transport_id.h"

#include <array>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

// "iqn.1993-08.org.debian:01:abc,i,0x80123456789a" is 46 characters: 48 with NUL and padding.
const auto kPort = bytes(
    "45 00 00 30 69 71 6e 2e 31 39 39 33 2d 30 38 2e 6f 72 67 2e 64 65 62 69 61 6e 3a 30 31 3a 61 62 63"
    "2c 69 2c 30 78 38 30 31 32 33 34 35 36 37 38 39 61 00 00");
// "eui.02004567A425678D" is 20 characters: 24.
const auto kDevice = bytes("05 00 00 18 65 75 69 2e 30 32 30 30 34 35 36 37 41 34 32 35 36 37 38 44 00 00 00 00");

std::vector<std::uint8_t> encoded(const TransportId& id) {
  std::vector<std::uint8_t> out(kMaxTransportIdBytes, 0xee);
  out.resize(encode_transport_id(id, out));
  return out;
}

TEST(TransportId, EncodesAsInTheStandardAndReadsBack) {
  const TransportId port{"iqn.1993-08.org.debian:01:abc", 0x80123456789a};
  EXPECT_EQ(encoded(port), kPort);
  EXPECT_EQ(decode_transport_id(kPort)->id, port);
  EXPECT_EQ(decode_transport_id(kPort)->size, kPort.size());
  const TransportId device{"eui.02004567A425678D"};
  EXPECT_EQ(encoded(device), kDevice);
  EXPECT_EQ(decode_transport_id(kDevice)->id, device);
}

TEST(TransportId, ShortNamesArePaddedToTheLeastLengthAndTheLongestFits) {
  EXPECT_EQ(encoded({"iqn.x"}).size(), 24u);
  EXPECT_EQ(decode_transport_id(encoded({"iqn.x"}))->id.name, "iqn.x");
  const TransportId longest{std::string(223, 'x'), 0xffffffffffff};
  EXPECT_EQ(encoded(longest).size(), kMaxTransportIdBytes);
  EXPECT_EQ(decode_transport_id(encoded(longest))->id, longest);
}

TEST(TransportId, ReadsTheFirstOfSeveral) {
  auto two = kPort;
  two.insert(two.end(), kDevice.begin(), kDevice.end());
  EXPECT_EQ(decode_transport_id(two)->size, kPort.size());
}

TEST(TransportId, IsidsInOtherSpellings) {
  const auto with = [](std::string_view text) {
    std::vector<std::uint8_t> out{0x45, 0, 0, 32};
    out.insert(out.end(), text.begin(), text.end());
    out.resize(36);
    const auto decoded = decode_transport_id(out);
    return decoded ? decoded->id.isid : std::nullopt;
  };
  EXPECT_EQ(with("iqn.a,i,0x00023D000001"), 0x00023d000001u);
  EXPECT_EQ(with("iqn.a,i,0X23d000001"), 0x00023d000001u);
  for (const char* bad : {"iqn.a", "iqn.a,i,0x", "iqn.a,i,0x1234567890abc", "iqn.a,i,0xg", "iqn.a,i,12",
                          "iqn.a,t,0x0001", "iqn.a,i,0x12,", "iqn.a,i,0x-1", "iqn.a,i,0x 1"}) {
    EXPECT_EQ(with(bad), std::nullopt) << bad;
  }
}

TEST(TransportId, RefusesWhatIsNotOne) {
  for (std::size_t size = 0; size < kPort.size(); ++size) {
    EXPECT_FALSE(decode_transport_id(ByteView(kPort).first(size))) << size;
  }
  const auto changed = [](std::size_t at, unsigned value) {
    auto id = kPort;
    id[at] = static_cast<std::uint8_t>(value);
    return decode_transport_id(id).has_value();
  };
  EXPECT_TRUE(changed(0, 0x45));
  for (unsigned protocol = 0; protocol < 16; ++protocol) EXPECT_EQ(changed(0, 0x40 | protocol), protocol == 5);
  EXPECT_FALSE(changed(0, 0x05)) << "a device has no ISID";
  EXPECT_FALSE(changed(0, 0x85));
  EXPECT_FALSE(changed(0, 0xc5));
  EXPECT_FALSE(changed(2, 1));
  EXPECT_FALSE(changed(3, 0x2f)) << "no multiple of four";
  EXPECT_FALSE(changed(3, 0x10)) << "too short";
  EXPECT_FALSE(changed(3, 0x2c)) << "no NUL";
  EXPECT_FALSE(changed(4, 0)) << "no name";
}

}  // namespace
}  // namespace peerlane::scsi
