// Parameter lists of POPULATE TOKEN and WRITE USING TOKEN (SBC-3 §5.7, §5.45): make a token for these ranges; write
// what a token stands for to these ranges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "scsi/block_range.h"
#include "scsi/rod_token.h"
#include "scsi/sense.h"

namespace peerlane::scsi {

/// Block device ROD token limits (SBC-3 §6.6.7): what a copy manager takes, as page 8Fh states it.
struct TokenLimits {
  std::uint16_t max_ranges = 0;          // MAXIMUM RANGE DESCRIPTORS; 0: no limit stated
  std::uint32_t max_inactivity = 0;      // MAXIMUM INACTIVITY TIMEOUT, seconds; 0: no limit stated
  std::uint32_t default_inactivity = 0;  // DEFAULT INACTIVITY TIMEOUT, seconds
  std::uint64_t max_blocks = 0;          // MAXIMUM TOKEN TRANSFER SIZE of one command; 0: no limit stated
  std::uint64_t optimal_blocks = 0;      // OPTIMAL TRANSFER COUNT; 0: nothing is said

  friend bool operator==(const TokenLimits&, const TokenLimits&) = default;
};

struct PopulateTokenParameters {
  bool immediate = false;                // IMMED: status before the token is there
  std::optional<RodType> type = {};      // ROD TYPE, with RTV
  std::uint32_t inactivity_timeout = 0;  // seconds; 0: the default
  std::vector<BlockRange> ranges = {};

  friend bool operator==(const PopulateTokenParameters&, const PopulateTokenParameters&) = default;
};

struct WriteUsingTokenParameters {
  bool immediate = false;
  bool delete_token = false;  // DEL_TKN: when it is done
  std::uint64_t offset = 0;   // OFFSET INTO ROD, in blocks of the logical unit that is written to
  RodTokenBytes token = {};
  std::vector<BlockRange> ranges = {};

  friend bool operator==(const WriteUsingTokenParameters&, const WriteUsingTokenParameters&) = default;
};

/// The blocks in all ranges. No sum of as many as fit a parameter list overflows.
std::uint64_t total_blocks(const std::vector<BlockRange>& ranges);

/// The ranges must fit 65535 bytes with what precedes them.
std::vector<std::uint8_t> encode_populate_token(const PopulateTokenParameters& parameters);
std::vector<std::uint8_t> encode_write_using_token(const WriteUsingTokenParameters& parameters);

/// Read parameter lists and hold them to `limits`. A range descriptor that the lengths cut off is not part of the list.
/// Whether ranges lie within the logical unit, and what the token is, is for others to look at.
///
/// Errors, all ILLEGAL REQUEST: PARAMETER LIST LENGTH ERROR (the list ends within what its fields promise); TOO MANY
/// SEGMENT DESCRIPTORS; INVALID FIELD IN PARAMETER LIST (lengths too small for one range, ranges that overlap, more
/// blocks or a longer inactivity timeout than allowed).
std::expected<PopulateTokenParameters, Sense> decode_populate_token(ByteView list, const TokenLimits& limits);
std::expected<WriteUsingTokenParameters, Sense> decode_write_using_token(ByteView list, const TokenLimits& limits);

}  // namespace peerlane::scsi
