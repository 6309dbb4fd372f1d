// Carrying out the moves of a third-party copy: the copy engine takes the shortest way between the two disks of each,
// one move after the other, and keeps the operation's account.
#pragma once

#include <string>
#include <vector>

#include "io/task.h"
#include "target/command.h"
#include "target/copy_manager.h"
#include "target/copy_resolution.h"

namespace peerlane::target {

/// Runs on the reactor of the nexus, which, as the units and `operation`, stays until it has ended. It ends early when
/// `command` (null: the copy goes on in background) is aborted, the operation is cancelled, or one of the units is
/// reset; what the operation says of its progress is right in any case. The completion is that of the command:
/// COPY ABORTED with the segment at which it ended; TASK ABORTED after a cancellation.
io::Task<Completion> run_copy(std::vector<CopyMove> moves, CopyOperation& operation, const Command* command);

/// The same for an operation of `copies` and its command: the completion is what the command ends with, now if
/// `immediate` (the copy goes on in background), or else when the copy has ended. The operation is ended in any case.
io::Task<Completion> run_command(CopyManager& copies, std::vector<CopyMove> moves, CopyOperation& operation,
                                 const Command& command, bool immediate);

}  // namespace peerlane::target
