// Segment descriptors of EXTENDED COPY (SPC-4 §6.4.6): what is to be copied from where to where. Of those, the ones
// that a disk has a use for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "scsi/blocks.h"
#include "scsi/sense.h"

namespace peerlane::scsi {

/// DESCRIPTOR TYPE CODE.
inline constexpr std::uint8_t kBlockToBlock = 0x02;
inline constexpr std::uint8_t kInlineToStream = 0x04;
inline constexpr std::uint8_t kVerifyCscd = 0x07;
inline constexpr std::uint8_t kBlockOffsetToBlockOffset = 0x0a;
inline constexpr std::uint8_t kRegisterKey = 0x14;

/// Blocks to blocks (02h).
struct BlocksSegment {
  std::uint16_t source = 0;        // CSCD descriptor IDs
  std::uint16_t destination = 0;   //
  bool cat = false;                // CAT: what is left over of the last block goes to the next segment
  bool destination_count = false;  // DC: the count is in blocks of the destination, else of the source
  std::uint16_t blocks = 0;        // 0: none
  Lba source_lba = {};
  Lba destination_lba = {};

  friend bool operator==(const BlocksSegment&, const BlocksSegment&) = default;
};

/// Bytes at an offset in a block to an offset in a block (0Ah).
struct BytesSegment {
  std::uint16_t source = 0;
  std::uint16_t destination = 0;
  bool cat = false;
  std::uint32_t bytes = 0;  // 0: none
  Lba source_lba = {};
  Lba destination_lba = {};
  std::uint16_t source_offset = 0;  // bytes into the first block
  std::uint16_t destination_offset = 0;

  friend bool operator==(const BytesSegment&, const BytesSegment&) = default;
};

/// Inline data to a stream device (04h).
struct InlineSegment {
  std::uint16_t destination = 0;
  bool cat = false;
  std::uint32_t transfer_length = 0;  // STREAM DEVICE TRANSFER LENGTH, 24 bits
  std::uint32_t offset = 0;           // into the inline data
  std::uint32_t bytes = 0;

  friend bool operator==(const InlineSegment&, const InlineSegment&) = default;
};

/// Is the source there (07h)?
struct VerifySegment {
  std::uint16_t source = 0;
  bool test_unit_ready = false;  // TUR: and ready

  friend bool operator==(const VerifySegment&, const VerifySegment&) = default;
};

/// Register the copy manager's key with the destination (14h).
struct RegisterSegment {
  std::uint16_t destination = 0;
  std::uint64_t key = 0;
  std::uint64_t action_key = 0;

  friend bool operator==(const RegisterSegment&, const RegisterSegment&) = default;
};

using CopySegment = std::variant<BlocksSegment, BytesSegment, InlineSegment, VerifySegment, RegisterSegment>;

/// Where in every segment descriptor the CSCD descriptor IDs stand.
inline constexpr std::size_t kSegmentSource = 4;
inline constexpr std::size_t kSegmentDestination = 6;

/// The CSCD descriptor IDs that a segment has.
struct SegmentUnits {
  std::optional<std::uint16_t> source = {};
  std::optional<std::uint16_t> destination = {};
};
SegmentUnits units_of(const CopySegment& segment);

/// DESCRIPTOR TYPE CODE.
std::uint8_t segment_type(const CopySegment& segment);

/// The size of the whole descriptor.
std::size_t segment_bytes(const CopySegment& segment);

void append_segment(const CopySegment& segment, std::vector<std::uint8_t>& out);

/// Reads the descriptor at the beginning of `list`, the rest of a segment descriptor list; `position` is where that is
/// in the parameter list, for field pointers. Errors: ILLEGAL REQUEST with UNSUPPORTED SEGMENT DESCRIPTOR TYPE CODE;
/// INVALID FIELD IN PARAMETER LIST for a wrong DESCRIPTOR LENGTH; PARAMETER LIST LENGTH ERROR if it is cut off.
std::expected<CopySegment, Sense> decode_segment(ByteView list, std::size_t position);

}  // namespace peerlane::scsi
