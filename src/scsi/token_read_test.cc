#include "scsi/token_read.h"

#include <vector>

#include <gtest/gtest.h>

#include "scsi/opcodes.h"
#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

TEST(TokenRead, IsLaidOutAsDescribedAndReadsBack) {
  TokenReadCdb read;
  read.service_action = kReadUsingToken;
  read.length = 0x1234;
  read.offset = 0x56789abc;
  for (std::size_t i = 0; i < read.key.size(); ++i) read.key[i] = static_cast<std::uint8_t>(0xa0 + i);
  std::vector<std::uint8_t> cdb(kVariableLengthCdbBytes, 0xee);
  encode_token_read(read, cdb);
  EXPECT_EQ(cdb,
            bytes("7f 00 00 00 00 00 00 18 88 00 12 34 56 78 9a bc a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af"));
  EXPECT_EQ(decode_token_read(cdb), read);
}

TEST(TokenRead, TheKeyIsWhatNobodyCanGuess) {
  RodToken token;
  for (std::size_t i = 0; i < token.tail.size(); ++i) token.tail[i] = static_cast<std::uint8_t>(i);
  const RodTokenKey key = token_key(encode_rod_token(token));
  for (std::size_t i = 0; i < key.size(); ++i) EXPECT_EQ(key[i], i);
}

}  // namespace
}  // namespace peerlane::scsi
