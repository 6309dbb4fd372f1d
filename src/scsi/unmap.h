// The parameter list of UNMAP (SBC-4 §5.31.2).
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "scsi/block_range.h"

namespace peerlane::scsi {

/// An UNMAP block descriptor.
using UnmapRange = BlockRange;

inline constexpr std::size_t kUnmapHeaderBytes = 8;
inline constexpr std::size_t kUnmapDescriptorBytes = kBlockRangeBytes;

/// The descriptors of a parameter list, read from its bytes, which it borrows.
class UnmapList {
 public:
  /// Nothing if not even the header is complete. Descriptors that are cut off, by the list's length or by the lengths
  /// that the header states, are not part of it.
  static std::optional<UnmapList> decode(ByteView list);

  std::size_t size() const { return descriptors_.size() / kUnmapDescriptorBytes; }
  UnmapRange operator[](std::size_t index) const;

 private:
  explicit UnmapList(ByteView descriptors) : descriptors_(descriptors) {}

  ByteView descriptors_;
};

/// Writes the list to `out`, which has kUnmapHeaderBytes and kUnmapDescriptorBytes for each range; returns its size.
/// Counts fit 32 bits, and the whole 64 KiB.
std::size_t encode_unmap_list(std::span<const UnmapRange> ranges, ByteSpan out);

}  // namespace peerlane::scsi
