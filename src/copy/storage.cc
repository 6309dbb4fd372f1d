#include "copy/storage.h"

#include <algorithm>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/hdreg.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

namespace peerlane::copy {
namespace {

constexpr std::uint64_t kXfsMagic = 0x58465342;  // not in linux/magic.h
constexpr std::uint64_t kSectorBytes = 512;      // the unit of sysfs

/// File systems whose direct I/O hands the caller's pages to the disk. Others may copy: btrfs for its checksums.
bool passes_pages_on(std::uint64_t file_system) {
  return file_system == EXT4_SUPER_MAGIC || file_system == kXfsMagic;
}

/// Whether reads and writes of this very file go past memory: not if it is encrypted, or its data are journaled.
bool has_direct_io(int descriptor) {
  struct statx facts{};
  if (statx(descriptor, "", AT_EMPTY_PATH, STATX_DIOALIGN, &facts) != 0) return false;
  // Before Linux 6.1 nobody tells.
  return (facts.stx_mask & STATX_DIOALIGN) == 0 || facts.stx_dio_offset_align != 0;
}

/// Tells a disk from the next one that has its device number. Without the numbers, that is what it is known by.
void identify_disk(Storage& storage) {
  if (ioctl(storage.backing.descriptor, BLKGETDISKSEQ, &storage.disk) != 0) storage.disk = 0;
  hd_geometry geometry{};
  if (ioctl(storage.backing.descriptor, HDIO_GETGEO, &geometry) == 0) storage.start = geometry.start;
}

}  // namespace

std::string Storage::path() const {
  return fmt::format("/proc/self/fd/{}", backing.descriptor);
}

std::string Storage::file_system_name() const {
  switch (file_system) {
    case EXT4_SUPER_MAGIC:
      return "ext4";
    case kXfsMagic:
      return "XFS";
    case BTRFS_SUPER_MAGIC:
      return "btrfs";
    case TMPFS_MAGIC:
      return "tmpfs";
    case NFS_SUPER_MAGIC:
      return "NFS";
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC:
      return "SMB";
    case CEPH_SUPER_MAGIC:
      return "Ceph";
    case FUSE_SUPER_MAGIC:
      return "FUSE";
    default:
      return fmt::format("a file system of type {:#x}", file_system);
  }
}

Storage storage_of(const End& end) {
  Storage storage;
  storage.name = end.name;
  if (end.device == nullptr) return storage;
  const auto backing = end.device->backing();
  struct stat status{};
  if (!backing || fstat(backing->descriptor, &status) != 0) return storage;
  storage.backing = *backing;
  if (S_ISBLK(status.st_mode)) {
    storage.kind = Storage::Kind::kBlockDevice;
    storage.device = status.st_rdev;
    identify_disk(storage);
    storage.block = end.device->geometry().logical_block_size;
    storage.direct_io = backing->direct;
    return storage;
  }
  struct statfs file_system{};
  if (!S_ISREG(status.st_mode) || fstatfs(backing->descriptor, &file_system) != 0) return storage;
  storage.kind = Storage::Kind::kFile;
  storage.device = status.st_dev;
  storage.inode = status.st_ino;
  storage.file_system = static_cast<std::uint64_t>(file_system.f_type);
  storage.block = static_cast<std::uint32_t>(file_system.f_bsize);
  storage.direct_io = backing->direct && passes_pages_on(storage.file_system) && has_direct_io(backing->descriptor);
  return storage;
}

Machine look_at_machine() {
  pcie::Sysfs sysfs("/");
  pcie::Topology topology = pcie::read_topology(sysfs);
  pcie::Disks disks = pcie::read_disks(sysfs, topology);
  return {std::move(sysfs), std::move(topology), std::move(disks)};
}

Machine look_at_disks() {
  pcie::Sysfs sysfs("/");
  pcie::Disks disks = pcie::read_disks(sysfs, {});
  return {std::move(sysfs), {}, std::move(disks)};
}

Result<DiskBeneath> disk_beneath(const Machine& machine, const Storage& storage) {
  if (storage.kind == Storage::Kind::kNone) return fail(ENODEV, storage.name + " is no disk or file of this machine");
  const auto beneath = pcie::disks_beneath_path(machine.sysfs, machine.disks, storage.path());
  if (!beneath) {
    return fail(ENODEV, storage.kind == Storage::Kind::kFile
                            ? fmt::format("{} lies on no disk of this machine but on {}", storage.name,
                                          storage.file_system_name())
                            : fmt::format("it cannot be told what {} is made of", storage.name));
  }
  if (!beneath->direct || beneath->disks.size() != 1) {
    return fail(ENODEV, fmt::format("{} does not lie on one disk by itself: {} between", storage.name,
                                    beneath->layers.empty() ? "several disks are" : beneath->layers.front() + " is"));
  }
  DiskBeneath found;
  found.disk = machine.disks.find(beneath->disks.front());
  using Kind = pcie::BlockDevice::Kind;
  if (found.disk == nullptr || (found.disk->kind != Kind::kNamespace && found.disk->kind != Kind::kNamespaceHead)) {
    return fail(ENODEV, fmt::format("{} lies on {}, which is no NVMe disk", storage.name, beneath->disks.front()));
  }
  for (const std::string& layer : beneath->layers) {
    const auto start = machine.sysfs.number("sys/class/block/" + layer + "/start");
    if (!start) return fail(ENODEV, fmt::format("it cannot be told where {} begins on its disk", layer));
    found.offset += *start * kSectorBytes;
  }
  return found;
}

}  // namespace peerlane::copy
