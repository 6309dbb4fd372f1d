// `peerlane attach` and `peerlane detach`: a disk as a block device of this host.
#pragma once

#include "cli/attach_arguments.h"
#include "cli/exit_code.h"

namespace peerlane::cli {

/// Attaches a disk, and serves it until it is detached: in this process, or in one that it leaves behind. Or lists what
/// is attached.
ExitCode attach(const AttachArguments& arguments);

/// Takes a disk away from this host.
ExitCode detach(const DetachArguments& arguments);

}  // namespace peerlane::cli
