// Who the copy sources and copy destinations of a third-party copy are, and whether its I_T nexus may use them so.
//
// They are looked for among the logical units that the nexus has itself, and each is held to what it would take for a
// READ or a WRITE of that nexus: reservations, write protection, access states, capacity. A descriptor that names none
// of these may name a unit of another target, if the configuration lists that (target/peer_units.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <vector>

#include "block/device.h"
#include "io/task.h"
#include "scsi/extended_copy.h"
#include "scsi/sense.h"
#include "target/logical_unit.h"
#include "target/peer_units.h"

namespace peerlane::target {

/// One end of a copy: a logical unit of the nexus, or a disk that no initiator knows, or one of another target.
struct CopyEnd {
  ItlNexus* unit = nullptr;
  std::shared_ptr<block::Device> disk = {};  // if there is no unit
  bool writable = true;                      // whether the disk may be a copy destination
  std::shared_ptr<SharedDisk> shared = {};   // of a unit of another target: its disk, if that is here as well

  std::uint32_t block_size() const;  // bytes
  std::uint64_t size() const;        // bytes, a multiple of the block size
};

/// What is to be moved, in bytes. Nothing: an end has only been looked at.
struct CopyMove {
  CopyEnd source;
  CopyEnd destination;
  std::uint64_t from = 0;
  std::uint64_t to = 0;
  std::uint64_t length = 0;
  std::size_t segment = 0;  // the segment descriptor, or range descriptor, that asks for it
};

using CopyMoves = std::expected<std::vector<CopyMove>, scsi::Sense>;

/// Why no READ (no WRITE) of this nexus would be carried out in its unit, as a copy reports it; nothing if it would.
std::optional<scsi::SenseCode> why_not_readable(const ItlNexus& nexus);
std::optional<scsi::SenseCode> why_not_writable(const ItlNexus& nexus);

/// The moves that a parameter list asks for, one for each segment descriptor; no byte lies outside of its end.
/// `addressed` is the nexus of the command, `list` stays as long as the task. Errors: COPY ABORTED, with the segment.
io::Task<CopyMoves> resolve_copy(ItlNexus& addressed, const scsi::ExtendedCopy& list);

}  // namespace peerlane::target
