#include "base/crc32c.h"

#include <array>
#include <cstdint>
#include <numeric>

#include <gtest/gtest.h>

namespace peerlane {
namespace {

// RFC 7143 Appendix A.4 gives the CRC's bytes in the order of the wire, least significant byte first.
TEST(Crc32c, VectorsOfTheRfc) {
  std::array<std::uint8_t, 32> bytes{};
  EXPECT_EQ(crc32c(bytes), 0x8a9136aau);
  bytes.fill(0xff);
  EXPECT_EQ(crc32c(bytes), 0x62a8ab43u);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  EXPECT_EQ(crc32c(bytes), 0x46dd794eu);
}

TEST(Crc32c, PiecesGiveTheSameAsTheWhole) {
  std::array<std::uint8_t, 4099> bytes{};
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 131 + 7);
  for (std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{48}, std::size_t{4098}, std::size_t{4099}}) {
    Crc32c crc;
    crc.add(ByteView(bytes).first(cut));
    crc.add(ByteView(bytes).subspan(cut));
    EXPECT_EQ(crc.value(), crc32c(bytes)) << "cut at " << cut;
  }
}

}  // namespace
}  // namespace peerlane
