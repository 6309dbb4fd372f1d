// The commands that a copy inside an NVMe subsystem needs, as Linux passes them through: Identify (NVM Express Base
// Specification §5.1.13), Get Features (§5.1.11), Copy (NVM Command Set Specification §3.3.2).
//
// Blocks may have protection information (NVM Command Set Specification §5.3): a guard, and tags of which the reference
// tag is the place of the block. A copy has other places, so its tags cannot be those of the source: the controller
// checks and takes away what the source has, and makes what the destination gets (PRACT, §5.3.2.5).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace peerlane::copy::nvme {

/// How protection information is laid out (PIF of the LBA format): 8 bytes with a guard of 16 bits; 16 bytes with one
/// of 64 bits; others are not known here.
enum class Guard : unsigned char { k16, k64, kOther };

/// What a namespace and its controller say about Copy.
struct CopyLimits {
  bool copy = false;               // ONCS: the controller has the command
  std::uint16_t formats = 0;       // OCFS (CDFS): a bit for each Copy Descriptor Format
  std::uint16_t enabled = 0;       // Host Behavior Support, CDFE: those of formats 2 and 3 that may be used
  std::uint32_t block = 0;         // bytes of a logical block
  std::uint16_t metadata = 0;      // bytes of metadata of a logical block
  std::uint8_t protection = 0;     // the type of protection information (DPS), 1 to 3; 0: none
  Guard guard = Guard::k16;        // and its kind
  std::uint8_t storage_tag = 0;    // STS: bits of tags that are the storage's own
  std::uint16_t range_blocks = 0;  // MSSRL: of one source range
  std::uint32_t blocks = 0;        // MCL: of one command
  std::uint16_t ranges = 0;        // MSRC + 1: source ranges of one command
};

/// How a Copy command is made.
struct CopyForm {
  std::uint8_t format = 0;  // Copy Descriptor Format: 0 inside a namespace, 2 between two; 1 and 3 with a guard of more
                            // than 16 bits
  std::uint8_t protection = 0;  // the type of protection information that both ends have; 0: none
};

/// A source range of one Copy command.
struct SourceRange {
  std::uint32_t nsid = 0;
  std::uint64_t block = 0;
  std::uint32_t blocks = 0;  // 1 to 65536
};

/// Whether the controller knows other LBA formats than those of the first specifications (CTRATT, ELBAS); by its
/// Identify Controller data.
bool has_extended_formats(ByteView controller);

/// Decodes Identify Controller, Identify Namespace, what this has of the NVM Command Set (zeroes without extended
/// formats), and Host Behavior Support data; of 4096 bytes each, the last one of 512.
CopyLimits decode_limits(ByteView controller, ByteView name_space, ByteView nvm_name_space, ByteView host_behavior);

/// The form for blocks of such a namespace.
CopyForm form_for(const CopyLimits& limits, bool other_namespace);

/// Cuts a range into the source ranges of one command. It has at most limits.blocks blocks and needs no more ranges
/// than limits.ranges.
std::vector<SourceRange> cut(const CopyLimits& limits, std::uint32_t nsid, std::uint64_t block, std::uint64_t blocks);

/// The most blocks that one command can copy: what MCL, MSSRL and MSRC allow together. 0: none.
std::uint64_t most_blocks(const CopyLimits& limits);

/// The data of a Copy command.
std::vector<std::uint8_t> encode(std::span<const SourceRange> ranges, CopyForm form);

/// Its dwords 3 and 10 to 14, which say where the copy goes and what is made of protection information.
struct CopyDwords {
  std::uint32_t cdw3 = 0, cdw10 = 0, cdw11 = 0, cdw12 = 0, cdw14 = 0;
};
CopyDwords encode(std::uint64_t block, std::size_t ranges, CopyForm form);

// --- Through a descriptor of the namespace's block device. These block. ---

/// Asks a namespace and its controller. Takes root. Errors: EACCES; EIO with the NVMe status; the system's.
Result<CopyLimits> ask_limits(int descriptor, std::uint32_t nsid);

/// Copies to `block` of the namespace `nsid`. Gives what ioctl(2) does: 0, a positive NVMe status, or -1 and errno.
int copy(int descriptor, std::uint32_t nsid, std::uint64_t block, std::span<const SourceRange> ranges, CopyForm form);

}  // namespace peerlane::copy::nvme
