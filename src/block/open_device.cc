#include <cstring>

#include <fmt/format.h>
#include <sys/stat.h>

#include "base/units.h"
#include "block/device.h"
#include "block/file_device.h"
#include "block/kernel_device.h"
#include "block/ram_device.h"

namespace peerlane::block {
namespace {

constexpr std::string_view kRamPrefix = "ram:";
constexpr std::uint32_t kRamBlockSize = 512;

Result<std::unique_ptr<Device>> open_path(const std::string& path, const OpenOptions& options) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) {
    const int code = errno;
    const std::string remedy =
        code == ENOENT ? fmt::format("; create it, for example: truncate -s 10G {}, or give ram:SIZE", path) : "";
    return fail(code, fmt::format("cannot open {}: {}{}", path, std::strerror(code), remedy));
  }
  if (S_ISREG(status.st_mode)) return FileDevice::open(path, options);
  if (S_ISBLK(status.st_mode)) return KernelDevice::open(path, options);
  return fail(EINVAL, fmt::format("{} is neither a regular file nor a block device", path));
}

}  // namespace

Result<std::unique_ptr<Device>> open_device(const std::string& spec, const OpenOptions& options) {
  if (!spec.starts_with(kRamPrefix)) return open_path(spec, options);
  const auto size = parse_size(std::string_view(spec).substr(kRamPrefix.size()));
  if (!size) return std::unexpected(size.error());
  const std::uint32_t block_size = options.logical_block_size != 0 ? options.logical_block_size : kRamBlockSize;
  auto device = RamDevice::create(*size, block_size, options.read_only, spec);
  if (!device) return std::unexpected(device.error());
  return std::unique_ptr<Device>(std::move(*device));
}

}  // namespace peerlane::block
