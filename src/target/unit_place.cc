#include "target/unit_place.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "pcie/sysfs.h"
#include "scsi/disk_place.h"

namespace peerlane::target {

std::optional<pcie::DiskPart> part_beneath(const block::Device& device) {
  const auto backing = device.backing();
  struct stat status{};
  if (!backing || fstat(backing->descriptor, &status) != 0 || !S_ISBLK(status.st_mode)) return std::nullopt;
  auto part = pcie::disk_part(pcie::Sysfs("/"), fmt::format("{}:{}", major(status.st_rdev), minor(status.st_rdev)));
  if (!part || part->identity.size() > scsi::kMaxDiskIdentityBytes) return std::nullopt;
  return std::move(*part);
}

}  // namespace peerlane::target
