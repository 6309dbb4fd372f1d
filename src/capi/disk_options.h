// What a C program asks for when it opens a disk, as the initiator's options.
#pragma once

#include "base/error.h"
#include "capi/peerlane/peerlane.h"
#include "initiator/disk.h"

namespace peerlane::capi {

/// Reads `options`, which may be NULL. Errors, EINVAL, with a sentence: what is out of range, what contradicts itself,
/// and what a newer header may have that is not zero.
Result<initiator::DiskOptions> disk_options(const peerlane_options* options);

}  // namespace peerlane::capi
