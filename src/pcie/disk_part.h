// Disks by the identities that they have all over the world, so that two machines which reach one disk (a dual-ported
// NVMe disk, a shared SAS disk, an NVMe-oF namespace) can tell that it is one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "pcie/sysfs.h"

namespace peerlane::pcie {

/// A disk, or what begins at some place of it.
struct DiskPart {
  std::string identity;      // is_world_wide()
  std::uint64_t offset = 0;  // bytes: where a partition begins; of a whole disk 0

  friend bool operator==(const DiskPart&, const DiskPart&) = default;
};

/// Whether `identity`, as `wwid` in sysfs has it, is one that no two disks have: an EUI-64 or NGUID (eui.), a UUID, or
/// an NAA of a registered kind (2h, 5h, 6h). Others are made of serial numbers or texts (nvme., t10.), or are locally
/// assigned. Lower case.
bool is_world_wide(std::string_view identity);

/// What a block device is a part of: a disk or a partition of one. `number` is its device number, "259:1". Errors:
/// ENODEV, with a sentence, for those that are made of several or other things, and for disks without such an identity.
Result<DiskPart> disk_part(const Sysfs& sysfs, const std::string& number);

/// The block devices that are this part, by name. Several ways to one disk are several devices, if no driver joins
/// them.
std::vector<std::string> block_devices_of(const Sysfs& sysfs, const DiskPart& part);

}  // namespace peerlane::pcie
