#include "scsi/token_read.h"

#include <algorithm>

#include "scsi/opcodes.h"

namespace peerlane::scsi {
namespace {

constexpr std::size_t kAdditionalLengthByte = 7;
constexpr std::size_t kServiceActionByte = 8;
constexpr std::size_t kLengthByte = 10;
constexpr std::size_t kOffsetByte = 12;
constexpr std::size_t kKeyByte = 16;

}  // namespace

RodTokenKey token_key(const RodTokenBytes& token) {
  RodTokenKey key;
  std::copy_n(token.begin() + kRodTokenKeyByte, key.size(), key.begin());
  return key;
}

TokenReadCdb decode_token_read(ByteView cdb) {
  TokenReadCdb read;
  read.service_action = get_be16(cdb, kServiceActionByte);
  read.length = get_be16(cdb, kLengthByte);
  read.offset = get_be32(cdb, kOffsetByte);
  std::ranges::copy(cdb.subspan(kKeyByte, kRodTokenKeyBytes), read.key.begin());
  return read;
}

void encode_token_read(const TokenReadCdb& read, ByteSpan out) {
  std::ranges::fill(out.first(kVariableLengthCdbBytes), std::uint8_t{0});
  out[0] = static_cast<std::uint8_t>(OperationCode::kVariableLength);
  out[kAdditionalLengthByte] = kAdditionalCdbLength;
  put_be16(out, kServiceActionByte, read.service_action);
  put_be16(out, kLengthByte, read.length);
  put_be32(out, kOffsetByte, read.offset);
  std::ranges::copy(read.key, out.subspan(kKeyByte).begin());
}

}  // namespace peerlane::scsi
