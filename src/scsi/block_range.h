// A range of logical blocks as parameter lists name it, in 16 bytes: the UNMAP block descriptor (SBC-4 §5.31.2) and the
// block device range descriptor of POPULATE TOKEN and WRITE USING TOKEN (SBC-3 §5.7.3), which are the same.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "scsi/blocks.h"

namespace peerlane::scsi {

struct BlockRange {
  Lba lba;
  BlockCount count;  // fits 32 bits

  friend bool operator==(const BlockRange&, const BlockRange&) = default;
};

inline constexpr std::size_t kBlockRangeBytes = 16;

/// At least kBlockRangeBytes.
inline BlockRange get_block_range(ByteView bytes) {
  return {.lba = {get_be64(bytes, 0)}, .count = {get_be32(bytes, 8)}};
}

/// At least kBlockRangeBytes, of which it writes as many.
inline void put_block_range(const BlockRange& range, ByteSpan out) {
  put_be64(out, 0, range.lba.value);
  put_be32(out, 8, static_cast<std::uint32_t>(range.count.value));
  put_be32(out, 12, 0);
}

}  // namespace peerlane::scsi
