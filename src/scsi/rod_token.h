// ROD tokens (SPC-4 §5.17.6, SBC-3 §4.28): 512 bytes that stand for data. Who holds one may have the data written
// somewhere without ever seeing them. Only the copy manager that made a token can tell whether it is genuine: it
// compares all of it with what it gave out. The fields are for others to look at.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "scsi/cscd.h"
#include "scsi/designator.h"

namespace peerlane::scsi {

/// ROD TYPE (SPC-4 §5.17.6.2, SBC-3 for the last one).
enum class RodType : std::uint32_t {
  kInternal = 0x0000'0000,               // of the copy manager; its tokens are what it likes
  kAccessUponReference = 0x0001'0000,    // the data as they are when the token is used
  kPointInTime = 0x0080'0000,            // the data as they were when it was made; how is up to the copy manager
  kPointInTimeVulnerable = 0x0080'0001,  // of no use once the data have changed
  kPointInTimePersistent = 0x0080'0002,
  kPointInTimeAny = 0x0080'ffff,
  kBlockZero = 0xffff'0001,  // zeroes: a token that everybody knows
};

inline constexpr std::size_t kRodTokenBytes = 512;
inline constexpr std::size_t kRodTokenTailBytes = 256;
inline constexpr std::size_t kRodTargetDesignatorBytes = 124;  // at most
inline constexpr std::size_t kRodManagementTokenBytes = 96;    // what REPORT ALL ROD TOKENS tells of a token

using RodTokenBytes = std::array<std::uint8_t, kRodTokenBytes>;

/// A token of any type but kInternal and kBlockZero.
struct RodToken {
  RodType type = RodType::kAccessUponReference;
  std::uint64_t identifier = 0;      // COPY MANAGER ROD TOKEN IDENTIFIER: no two of its tokens have the same
  std::optional<Cscd> creator = {};  // CREATOR LOGICAL UNIT DESCRIPTOR, of kCscdBytes: whose data they are
  std::uint64_t bytes = 0;           // NUMBER OF BYTES REPRESENTED
  // Device type specific data of block devices: READ CAPACITY(16) from its LOGICAL BLOCK LENGTH on.
  std::uint32_t block_length = 0;                // bytes
  std::uint8_t physical_exponent = 0;            // LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT, 0 to 15
  std::uint16_t lowest_aligned = 0;              // LOWEST ALIGNED LOGICAL BLOCK ADDRESS, 14 bits
  bool thin = false;                             // LBPME
  bool reads_zeroes = false;                     // LBPRZ
  std::optional<Designator> target_device = {};  // TARGET DEVICE DESCRIPTOR; at most kRodTargetDesignatorBytes
  std::array<std::uint8_t, kRodTokenTailBytes> tail = {};  // extended ROD token data: the copy manager's own

  friend bool operator==(const RodToken&, const RodToken&) = default;
};

/// A creator with an extension and a designator that is too long are left out.
RodTokenBytes encode_rod_token(const RodToken& token);

/// Nothing if it is too short, its length is none of these tokens', it is of one of the two other types, or stands for
/// 2^64 bytes or more.
std::optional<RodToken> decode_rod_token(ByteView bytes);

/// ROD TYPE of a token, of which there are at least four bytes. It may be none of those that RodType names.
inline RodType rod_type(ByteView token) {
  return static_cast<RodType>(get_be32(token, 0));
}

/// The length that a token states: kRodTokenBytes as a rule. At least eight bytes.
std::size_t rod_token_length(ByteView token);

/// The block device zero ROD token (SBC-3 §4.28.6).
RodTokenBytes block_zero_rod_token();

}  // namespace peerlane::scsi
