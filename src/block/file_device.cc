#include "block/file_device.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/patience.h"

namespace peerlane::block {
namespace {

constexpr std::uint32_t kDefaultBlockSize = 512;

/// Whether the file can be read in units of `block_size` without the page cache; asks by trying.
bool reads_directly(int fd, std::uint32_t block_size) {
  void* const memory = std::aligned_alloc(4096, 4096);
  if (memory == nullptr) return false;
  // At an offset of one block, so that a coarser alignment shows.
  const bool works = pread(fd, memory, block_size, block_size) >= 0;
  std::free(memory);
  return works;
}

/// Opens the file, with O_DIRECT if it is wanted and works.
Result<int> open_descriptor(const std::string& path, const OpenOptions& options, std::uint32_t block_size,
                            bool& direct) {
  const int flags = (options.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC;
  if (options.direct) {
    const int fd = ::open(path.c_str(), flags | O_DIRECT);
    if (fd >= 0 && reads_directly(fd, block_size)) {
      direct = true;
      return fd;
    }
    if (fd >= 0) close(fd);
  }
  direct = false;
  const int fd = ::open(path.c_str(), flags);
  if (fd >= 0) return fd;
  const int code = errno;
  const char* const remedy = code == EROFS || code == EACCES ? "; serve it read-only, or make it writable" : "";
  return fail(code, fmt::format("cannot open {}: {}{}", path, std::strerror(code), remedy));
}

/// One writer or many readers, by locks that belong to the open file. QEMU's image locks conflict with it, as they
/// should.
Result<void> lock_file(int fd, const std::string& path, const OpenOptions& options) {
  struct flock lock{};
  lock.l_type = static_cast<short>(options.read_only ? F_RDLCK : F_WRLCK);
  lock.l_whence = SEEK_SET;
  const bool settled = outlast_predecessor(path, options.patience, [&] {
    // Other errors: a file system without locks.
    return fcntl(fd, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
  });
  if (settled) return {};
  return fail(EBUSY, fmt::format("{} is in use by another program (or served twice); stop that first", path));
}

/// Whether the file system has a mode of fallocate; asked for beyond the end of the file, where it changes nothing.
bool has_fallocate(int fd, int mode, std::uint64_t size) {
  const auto past_end = static_cast<off_t>((size + 4095) / 4096 * 4096);
  return ::fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, past_end, 4096) == 0;
}

/// ZERO_RANGE beyond the end may leave space there; give it back.
bool has_zero_range(int fd, std::uint64_t size) {
  if (!has_fallocate(fd, FALLOC_FL_ZERO_RANGE, size)) return false;
  return has_fallocate(fd, FALLOC_FL_PUNCH_HOLE, size);
}

std::string canonical(const std::string& path) {
  char* const resolved = realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return path;
  std::string result = resolved;
  std::free(resolved);
  return result;
}

}  // namespace

Result<std::unique_ptr<Device>> FileDevice::open(const std::string& path, const OpenOptions& options) {
  auto opened = open_file(path, options);
  if (!opened) return std::unexpected(opened.error());
  if (opened->traits.geometry.size == 0) {
    return fail(EINVAL, fmt::format("{} is empty; give it a size first, for example: truncate -s 10G {}", path, path));
  }
  return std::unique_ptr<Device>(new FileDevice(std::move(opened->descriptor), std::move(opened->traits)));
}

Result<FileDevice::Opened> FileDevice::open_file(const std::string& path, const OpenOptions& options) {
  Traits traits;
  traits.geometry.logical_block_size = options.logical_block_size != 0 ? options.logical_block_size : kDefaultBlockSize;
  // What is written in smaller units than the file system allocates is not read and written back as a whole by anybody
  // on this side; the units of allocation are the granularity of unmapping.
  traits.geometry.physical_block_size = traits.geometry.logical_block_size;
  bool direct = false;
  const auto fd = open_descriptor(path, options, traits.geometry.logical_block_size, direct);
  if (!fd) return std::unexpected(fd.error());
  Descriptor descriptor(*fd);
  const auto locked = lock_file(*fd, path, options);
  if (!locked) return std::unexpected(locked.error());

  struct stat status{};
  if (fstat(*fd, &status) != 0) return std::unexpected(Error::from_errno(errno, "cannot ask for the size of " + path));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  traits.geometry.size = size - size % traits.geometry.logical_block_size;
  traits.memory_alignment = direct ? 4096 : 1;
  traits.identity = {path, "file:" + canonical(path)};
  traits.capabilities.read_only = options.read_only;
  traits.capabilities.volatile_cache = !options.read_only;
  traits.capabilities.fua = !options.read_only;
  traits.capabilities.prefetch = !direct;
  traits.capabilities.allocation = lseek(*fd, 0, SEEK_DATA) >= 0 || errno == ENXIO;
  if (!options.read_only) {
    traits.capabilities.unmap = has_fallocate(*fd, FALLOC_FL_PUNCH_HOLE, size);
    traits.capabilities.write_zeroes = traits.capabilities.unmap && has_zero_range(*fd, size);
    traits.capabilities.unmap_granularity = static_cast<std::uint32_t>(status.st_blksize);
  }
  return Opened{std::move(descriptor), std::move(traits), size};
}

Result<std::uint64_t> FileDevice::current_size() const {
  struct stat status{};
  if (fstat(fd(), &status) != 0) return fail(errno);
  return static_cast<std::uint64_t>(status.st_size);
}

Result<Space> FileDevice::space() const {
  constexpr std::uint64_t kUnit = 512;  // of st_blocks
  struct stat status{};
  struct statvfs system{};
  if (fstat(fd(), &status) != 0) return fail(errno);
  Space space{.used = static_cast<std::uint64_t>(status.st_blocks) * kUnit, .available = std::nullopt};
  if (fstatvfs(fd(), &system) == 0) space.available = std::uint64_t{system.f_bavail} * system.f_frsize;
  return space;
}

/// lseek answers from what the file system has in memory; it is not worth a trip through another thread.
io::Task<Result<std::vector<Extent>>> FileDevice::allocation(std::uint64_t offset, std::uint64_t length,
                                                             std::size_t most) {
  assert(capabilities().allocation);
  std::vector<Extent> extents;
  const std::uint64_t end = offset + length;
  while (offset < end && extents.size() < most) {
    const off_t data = lseek(fd(), static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno != ENXIO) co_return fail(errno);
    const std::uint64_t data_begin = data < 0 ? end : std::min(static_cast<std::uint64_t>(data), end);
    if (data_begin > offset) {
      extents.push_back({offset, data_begin - offset, false});
      offset = data_begin;
      continue;
    }
    const off_t hole = lseek(fd(), static_cast<off_t>(offset), SEEK_HOLE);
    if (hole < 0) co_return fail(errno);
    const std::uint64_t data_end = std::min(static_cast<std::uint64_t>(hole), end);
    extents.push_back({offset, data_end - offset, true});
    offset = data_end;
  }
  co_return extents;
}

}  // namespace peerlane::block
