// Logical units of other targets, as third-party copies get at them: the seam between the copy manager and whoever logs
// in there. The target knows no initiator; who puts the two together implements this (src/peers) and hands it to
// Server::start().
//
// CSCD descriptors name such a unit by one of its designators, or by the address of its target's portal and its LUN
// (SPC-4 §6.4.5). Either way it is found only at targets that the configuration lists: no descriptor makes us connect
// to any other place.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "block/device.h"
#include "io/task.h"
#include "scsi/cscd.h"

namespace peerlane::target {

/// A logical unit of a peer.
struct PeerUnit {
  std::shared_ptr<block::Device> device;  // works on every reactor; to be let go of before the PeerUnits ends
  bool writable = false;                  // it may be a copy destination
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
};

}  // namespace peerlane::target
