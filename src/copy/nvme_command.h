// The commands that a copy inside an NVMe subsystem needs, as Linux passes them through: Identify (NVM Express Base
// Specification §5.1.13), Get Features (§5.1.11), Copy (NVM Command Set Specification §3.3.2).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace peerlane::copy::nvme {

/// What a namespace and its controller say about Copy.
struct CopyLimits {
  bool copy = false;               // ONCS: the controller has the command
  std::uint16_t formats = 0;       // OCFS (CDFS): a bit for each Copy Descriptor Format
  bool formats_enabled = false;    // Host Behavior Support, CDFE: formats 2 and 3 may be used
  std::uint32_t block = 0;         // bytes of a logical block
  bool metadata = false;           // logical blocks have metadata
  std::uint16_t range_blocks = 0;  // MSSRL: of one source range
  std::uint32_t blocks = 0;        // MCL: of one command
  std::uint16_t ranges = 0;        // MSRC + 1: source ranges of one command
};

/// A source range of one Copy command: Copy Descriptor Format 0, or 2 if it is of another namespace than the one that
/// the command is for.
struct SourceRange {
  std::uint32_t nsid = 0;
  std::uint64_t block = 0;
  std::uint32_t blocks = 0;  // 1 to 65536
};

/// Decodes Identify Controller, Identify Namespace and Host Behavior Support data; of 4096, 4096 and 512 bytes.
CopyLimits decode_limits(ByteView controller, ByteView name_space, ByteView host_behavior);

/// Cuts a range into the source ranges of one command. It has at most limits.blocks blocks and needs no more ranges
/// than limits.ranges.
std::vector<SourceRange> cut(const CopyLimits& limits, std::uint32_t nsid, std::uint64_t block, std::uint64_t blocks);

/// The most blocks that one command can copy: what MCL, MSSRL and MSRC allow together. 0: none.
std::uint64_t most_blocks(const CopyLimits& limits);

/// The data of a Copy command.
std::vector<std::uint8_t> encode(std::span<const SourceRange> ranges, bool other_namespace);

// --- Through a descriptor of the namespace's block device. These block. ---

/// Asks a namespace and its controller. Takes root. Errors: EACCES; EIO with the NVMe status; the system's.
Result<CopyLimits> ask_limits(int descriptor, std::uint32_t nsid);

/// Copies to `block` of the namespace `nsid`. Gives what ioctl(2) does: 0, a positive NVMe status, or -1 and errno.
int copy(int descriptor, std::uint32_t nsid, std::uint64_t block, std::span<const SourceRange> ranges,
         bool other_namespace);

}  // namespace peerlane::copy::nvme
