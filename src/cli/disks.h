// How a disk on a command line becomes a block::Device.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "block/device.h"
#include "io/task.h"

namespace peerlane::cli {

/// Opens a disk by its spec, on the reactor that will use it: a PATH of a file or block device, or ram:SIZE. The error
/// is a sentence for the user.
io::Task<Result<std::unique_ptr<block::Device>>> open_disk(std::string spec, block::OpenOptions options);

/// Whether a spec is a path, and not a disk of another kind.
bool is_path(const std::string& spec);

}  // namespace peerlane::cli
