#include "peers/local_disks.h"

#include <string>
#include <utility>

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "pcie/disk_part.h"

namespace peerlane::peers {
namespace {

/// Whether an open device is this part of a disk: the name that it was opened by may be another one's by now.
bool is_part(const pcie::Sysfs& sysfs, const block::Device& device, const pcie::DiskPart& part) {
  const auto backing = device.backing();
  struct stat status{};
  if (!backing || fstat(backing->descriptor, &status) != 0 || !S_ISBLK(status.st_mode)) return false;
  const auto own = pcie::disk_part(sysfs, fmt::format("{}:{}", major(status.st_rdev), minor(status.st_rdev)));
  return own && *own == part;
}

}  // namespace

Result<std::unique_ptr<block::Device>> open_local_disk(const scsi::DiskPlace& place, std::uint32_t block_size) {
  const pcie::Sysfs sysfs("/");
  const pcie::DiskPart part{place.identity, place.offset};
  block::OpenOptions how;
  how.logical_block_size = block_size;
  how.read_only = true;
  Error error{ENODEV, fmt::format("this machine has no disk {}{}", place.identity,
                                  place.offset != 0 ? fmt::format(" with a partition at byte {}", place.offset) : "")};
  for (const std::string& name : pcie::block_devices_of(sysfs, part)) {
    auto device = block::open_device("/dev/" + name, how);
    if (!device) {
      error = std::move(device.error());
    } else if (!is_part(sysfs, **device, part)) {
      error = {ENODEV, fmt::format("/dev/{} is not {}", name, place.identity)};
    } else if ((*device)->geometry().size != place.length) {
      error = {ENODEV,
               fmt::format("/dev/{} has {} bytes, the peer's unit {}", name, (*device)->geometry().size, place.length)};
    } else {
      return device;
    }
  }
  return std::unexpected(std::move(error));
}

io::Task<Result<std::unique_ptr<block::Device>>> LocalDisks::open(io::Reactor& home, scsi::DiskPlace place,
                                                                  std::uint32_t block_size) {
  Result<std::unique_ptr<block::Device>> opened = fail(ENODEV);
  co_await home.background().run(home, [this, &opened, &place, block_size] {
    opened = open_(place, block_size);
    return 0;
  });
  co_return opened;
}

}  // namespace peerlane::peers
