// Data of a logical unit set aside as they are now, without a copy: a file without a name that shares their blocks
// (FICLONERANGE). For ROD tokens that outlive changes of their data.
#pragma once

#include <memory>
#include <vector>

#include "base/error.h"
#include "block/device.h"
#include "io/task.h"
#include "target/change_watch.h"

namespace peerlane::target {

class LogicalUnit;

/// A disk with the ranges' data at the same offsets, read only by intention; the rest of it is zeroes. Nobody else
/// writes to the ranges meanwhile. Errors: ENOTSUP where the unit is no file, or its file system does not share (these)
/// blocks; whatever the system says to a new file beside the unit's.
io::Task<Result<std::shared_ptr<block::Device>>> take_snapshot(const LogicalUnit& unit, std::vector<ByteRange> ranges);

}  // namespace peerlane::target
