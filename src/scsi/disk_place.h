// A vital product data page of Peerlane's own (E8h; SPC-4 §7.8.1 leaves C0h to FFh to vendors): on which hardware a
// logical unit lies, for other targets that may have the same disk.
//
// This is not a designator of page 83h: two targets' units on one disk share its blocks, but no reservations, no caches
// and no unit attentions, so they are not two ways to one logical unit.
//
//     byte  0 to  3   the header of every page
//           4 to 11   "PEERLANE", since vendors use each other's codes
//          12         01h, the version of what follows
//          13         length of the identity
//          14 to 15   reserved
//          16 to 23   the first byte of the unit on that disk
//          24 to 31   bytes of the unit
//          32 on      the identity, ASCII
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "scsi/vpd.h"

namespace peerlane::scsi {

/// Longer identities are not stated.
inline constexpr std::size_t kMaxDiskIdentityBytes = 64;

struct DiskPlace {
  /// By which the disk is known all over the world, as Linux writes it: "eui.0025385b71b0a1c2", "naa.5000c500a1b2c3d4",
  /// "uuid." and a UUID. Lower case.
  std::string identity;
  std::uint64_t offset = 0;  // bytes, on the disk: where a partition begins
  std::uint64_t length = 0;  // bytes, not 0

  friend bool operator==(const DiskPlace&, const DiskPlace&) = default;
};

std::size_t encode_disk_place(Peripheral peripheral, const DiskPlace& place, ByteSpan out);

/// Nothing, too, for another vendor's page and for what cannot be: an identity of other characters than those of such
/// names, a place beyond the end of all disks.
std::optional<DiskPlace> decode_disk_place(ByteView page);

}  // namespace peerlane::scsi
