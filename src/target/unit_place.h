// On which hardware a logical unit's disk lies, for VPD page E8h (scsi/disk_place.h).
#pragma once

#include <optional>

#include "block/device.h"
#include "pcie/disk_part.h"

namespace peerlane::target {

/// Nothing for what is no block device by itself (files, memory), or has no identity of its own. Blocks for the time it
/// takes to read sysfs; at the start.
std::optional<pcie::DiskPart> part_beneath(const block::Device& device);

}  // namespace peerlane::target
