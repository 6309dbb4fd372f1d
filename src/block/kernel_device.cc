#include "block/kernel_device.h"

#include <cstdlib>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/patience.h"

namespace peerlane::block {
namespace {

/// A file below /sys/dev/block/MAJOR:MINOR/, its first line; empty if it is not there.
std::string sysfs_line(dev_t device, const char* name) {
  std::ifstream file(fmt::format("/sys/dev/block/{}:{}/{}", major(device), minor(device), name));
  std::string line;
  std::getline(file, line);
  return line;
}

/// A number in the device's queue directory; a partition has its disk's.
std::uint64_t queue_limit(dev_t device, const char* name) {
  std::string line = sysfs_line(device, (std::string("queue/") + name).c_str());
  if (line.empty()) line = sysfs_line(device, (std::string("../queue/") + name).c_str());
  return line.empty() ? 0 : std::strtoull(line.c_str(), nullptr, 10);
}

/// A name that goes with the hardware where there is one, otherwise the path. A partition has its disk's, and its
/// number.
std::string stable_name(dev_t device, const std::string& path) {
  const std::string partition = sysfs_line(device, "partition");
  for (const std::string attribute : {"wwid", "device/wwid", "serial", "device/serial"}) {
    const std::string value = sysfs_line(device, ((partition.empty() ? "" : "../") + attribute).c_str());
    if (!value.empty()) return fmt::format("block:{}{}{}", value, partition.empty() ? "" : "-part", partition);
  }
  return "block:" + path;
}

Result<int> open_exclusively(const std::string& path, const OpenOptions& options) {
  const int access = options.read_only ? O_RDONLY : O_RDWR | (options.exclusive ? O_EXCL : 0);
  int fd = -1;
  int code = 0;
  outlast_predecessor(path, options.patience, [&] {
    fd = ::open(path.c_str(), access | O_CLOEXEC | (options.direct ? O_DIRECT : 0));
    code = fd < 0 ? errno : 0;
    return code != EBUSY;
  });
  if (fd >= 0) return fd;
  if (code == EBUSY)
    return fail(code, fmt::format("{} is in use, perhaps mounted; unmount it, or serve it read-only", path));
  const char* const remedy = code == EACCES  ? "; it takes root or the group disk"
                             : code == EROFS ? "; serve it read-only"
                                             : "";
  return fail(code, fmt::format("cannot open {}: {}{}", path, std::strerror(code), remedy));
}

}  // namespace

Result<std::unique_ptr<Device>> KernelDevice::open(const std::string& path, const OpenOptions& options) {
  const auto fd = open_exclusively(path, options);
  if (!fd) return std::unexpected(fd.error());
  Descriptor descriptor(*fd);
  int logical = 0;
  unsigned physical = 0;
  std::uint64_t size = 0;
  int kernel_read_only = 0;
  struct stat status{};
  if (ioctl(*fd, BLKSSZGET, &logical) != 0 || ioctl(*fd, BLKPBSZGET, &physical) != 0 ||
      ioctl(*fd, BLKGETSIZE64, &size) != 0 || ioctl(*fd, BLKROGET, &kernel_read_only) != 0 ||
      fstat(*fd, &status) != 0) {
    return std::unexpected(Error::from_errno(errno, "cannot ask for the geometry of " + path));
  }
  const auto own = static_cast<std::uint32_t>(logical);
  Traits traits;
  traits.geometry.logical_block_size = options.logical_block_size != 0 ? options.logical_block_size : own;
  if (traits.geometry.logical_block_size % own != 0) {
    return fail(EINVAL, fmt::format("{} has logical blocks of {} bytes; it cannot be served with {}", path, own,
                                    traits.geometry.logical_block_size));
  }
  traits.geometry.physical_block_size = std::max<std::uint32_t>(physical, traits.geometry.logical_block_size);
  traits.geometry.size = size - size % traits.geometry.logical_block_size;
  if (traits.geometry.size == 0) return fail(ENOMEDIUM, fmt::format("{} has no medium, or no size", path));
  const bool read_only = options.read_only || kernel_read_only != 0;
  traits.memory_alignment = options.direct ? 4096 : 1;
  traits.identity = {path, stable_name(status.st_rdev, path)};
  traits.capabilities.read_only = read_only;
  traits.capabilities.volatile_cache = !read_only;
  traits.capabilities.fua = !read_only;
  // Zeroes must be certain after unmapping, so what counts is that the device can write zeroes by itself.
  traits.capabilities.write_zeroes = !read_only;
  traits.capabilities.unmap = !read_only && queue_limit(status.st_rdev, "write_zeroes_max_bytes") != 0 &&
                              queue_limit(status.st_rdev, "discard_max_bytes") != 0;
  traits.capabilities.unmap_granularity =
      static_cast<std::uint32_t>(queue_limit(status.st_rdev, "discard_granularity"));
  return std::unique_ptr<Device>(new KernelDevice(std::move(descriptor), std::move(traits)));
}

Result<std::uint64_t> KernelDevice::current_size() const {
  std::uint64_t size = 0;
  if (ioctl(fd(), BLKGETSIZE64, &size) != 0) return fail(errno);
  return size;
}

int KernelDevice::cause_of(int code) const {
  // Linux takes its size away, so that reads find the end of it and writes no space.
  if (code != EIO && code != ENOSPC) return code;
  const auto size = current_size();
  return size && *size == 0 ? ENODEV : code;
}

io::Task<Result<std::vector<Extent>>> KernelDevice::allocation(std::uint64_t offset, std::uint64_t length,
                                                               std::size_t most) {
  static_cast<void>(offset);
  static_cast<void>(length);
  static_cast<void>(most);
  co_return fail(ENOTSUP);
}

}  // namespace peerlane::block
