// `peerlane copy`: copies one disk to another.
#pragma once

#include "cli/copy_arguments.h"
#include "cli/exit_code.h"

namespace peerlane::cli {

/// Copies, or explains how it would.
ExitCode copy_disk(const CopyArguments& arguments);

}  // namespace peerlane::cli
