// EXTENDED COPY (SPC-4 §6.3, §6.4) as the command set by which a target copies: sent to the destination, in the form
// with long list identifiers (LID4) where the target says that it has that (VPD page 8Fh), else in the old one (LID1),
// which all that have any have. Source and destination are named by their designators.
#pragma once

#include "initiator/copy_commands.h"
#include "io/task.h"

namespace peerlane::initiator {

/// Asks the destination's target for its limits, and to copy nothing between the two: it then resolves and checks both
/// as for a copy. `page` is the destination's page 8Fh. Errors: ENOTSUP, with the reason. At the home of `to`.
io::Task<OfferedCommands> offer_extended_copy(const Lun& from, Lun& to, const scsi::ThirdPartyCopyPage& page);

}  // namespace peerlane::initiator
