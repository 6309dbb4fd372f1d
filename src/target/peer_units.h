// Logical units of other targets, as third-party copies get at them: the seam between the copy manager and whoever logs
// in there. The target knows no initiator; who puts the two together implements this (src/peers) and hands it to
// Server::start().
//
// CSCD descriptors name such a unit by one of its designators, or by the address of its target's portal and its LUN
// (SPC-4 §6.4.5). Either way it is found only at targets that the configuration lists: no descriptor makes us connect
// to any other place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "block/device.h"
#include "io/task.h"
#include "scsi/cscd.h"
#include "scsi/rod_token.h"

namespace peerlane::target {

/// The disk beneath a peer's unit, if this machine has it as well (dual-ported, shared SAS, NVMe-oF). Works on every
/// reactor; to be let go of before the PeerUnits ends.
class SharedDisk {
 public:
  virtual ~SharedDisk() = default;

  /// What a copy reads a range of the unit from: a device that is the unit's disk, with its backing(), or the unit
  /// itself where that cannot be had or does not seem to be the same; the reason is in the log. All that the peer had
  /// acknowledged before this call can be read there. Bytes. Asks the peer, which may take as long as one of its
  /// commands; to be called for each copy, since it is good for that one only.
  virtual io::Task<std::shared_ptr<block::Device>> for_reading(std::uint64_t offset, std::uint64_t length) = 0;
};

/// A logical unit of a peer.
struct PeerUnit {
  std::shared_ptr<block::Device> device;    // works on every reactor; to be let go of before the PeerUnits ends
  bool writable = false;                    // it may be a copy destination
  std::shared_ptr<SharedDisk> shared = {};  // null: this machine does not have its disk
};

/// Who asks: the I_T nexus of the command.
struct PeerAsker {
  std::string initiator;  // its iSCSI name
  std::string target;     // ours
};

class PeerUnits {
 public:
  virtual ~PeerUnits() = default;

  /// The unit that `cscd` names, at a peer that `asker` may use. On any reactor; takes limits::kPeerFindTimeout at
  /// most. Errors, with a sentence for the log: ENOENT, no peer has it, or none that is listed and may be used; ENODEV,
  /// the peer has no such LUN; ENOTBLK, it is not a disk; ENOTSUP, another kind of descriptor; ETIMEDOUT and those of
  /// connecting and logging in.
  virtual io::Task<Result<PeerUnit>> find(scsi::Cscd cscd, PeerAsker asker) = 0;

  /// What a ROD token stands for that a peer has made, as a disk to read, of whose block length it is; all of the token
  /// is compared with what the peer has made. Reading ends with EKEYREVOKED, EKEYEXPIRED or ENOKEY once the token does.
  /// Errors: those, ENOTSUP, the peer lets nobody use its tokens, and all of find().
  virtual io::Task<Result<PeerUnit>> find_token(scsi::RodTokenBytes token, PeerAsker asker) = 0;
};

}  // namespace peerlane::target
