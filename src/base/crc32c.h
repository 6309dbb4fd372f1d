// CRC32C (Castagnoli), the digest of iSCSI (RFC 7143 §13.1), computed by ISA-L.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace peerlane {

/// A CRC32C over bytes that may come in pieces. Thread-compatible; never allocates.
class Crc32c {
 public:
  /// Adds `bytes` after all bytes added before.
  void add(ByteView bytes);
  /// The CRC of all bytes added so far, as the integer whose least significant byte goes first on the wire.
  std::uint32_t value() const { return ~state_; }

 private:
  std::uint32_t state_ = 0xffffffff;
};

/// The CRC32C of `bytes` in one step.
std::uint32_t crc32c(ByteView bytes);

}  // namespace peerlane
