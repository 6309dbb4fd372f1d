// READ USING TOKEN and REPORT ROD TOKEN: what a copy manager asks of the one that has made a token, so that it can use
// tokens of other targets (SPC-4 §5.17.6.6 leaves to copy managers how they talk to each other). Both are vendor
// specific, with CDBs of variable length (7Fh):
//
//   byte 7        18h, ADDITIONAL CDB LENGTH
//   bytes 8-9     SERVICE ACTION: 8800h READ USING TOKEN, 8801h REPORT ROD TOKEN
//   bytes 10-11   TRANSFER LENGTH in blocks; ALLOCATION LENGTH in bytes
//   bytes 12-15   OFFSET INTO ROD in blocks; reserved
//   bytes 16-31   TOKEN KEY: the first bytes of the token's extended ROD token data, which nobody can guess
//
// They go to the logical unit that the token names as its creator. READ USING TOKEN reads what the token stands for.
// REPORT ROD TOKEN returns the token that has this key, so that whoever was given a token can compare all of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "scsi/rod_token.h"

namespace peerlane::scsi {

inline constexpr std::size_t kRodTokenKeyBytes = 16;
inline constexpr std::size_t kRodTokenKeyByte = kRodTokenBytes - kRodTokenTailBytes;  // where it is in a token
using RodTokenKey = std::array<std::uint8_t, kRodTokenKeyBytes>;

/// The key of a token that has extended ROD token data.
RodTokenKey token_key(const RodTokenBytes& token);

struct TokenReadCdb {
  std::uint16_t service_action = 0;  // kReadUsingToken or kReportRodToken
  std::uint16_t length = 0;          // blocks; bytes of REPORT ROD TOKEN
  std::uint32_t offset = 0;          // blocks; 0 for REPORT ROD TOKEN
  RodTokenKey key = {};

  friend bool operator==(const TokenReadCdb&, const TokenReadCdb&) = default;
};

/// `cdb` is one of the two, of kVariableLengthCdbBytes.
TokenReadCdb decode_token_read(ByteView cdb);

/// Writes the CDB to `out`, of at least kVariableLengthCdbBytes.
void encode_token_read(const TokenReadCdb& read, ByteSpan out);

}  // namespace peerlane::scsi
