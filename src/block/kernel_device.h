// A block device of this host (/dev/...) as a disk. Block sizes and what it can do by itself come from the kernel;
// areas are discarded and zeroed with fallocate(2), which does what the BLKDISCARD and BLKZEROOUT requests do and can
// be awaited.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "block/descriptor_device.h"

namespace peerlane::block {

class KernelDevice final : public DescriptorDevice {
 public:
  /// Opens the block device at `path`, exclusively unless read-only: one that is mounted is refused. See open_device.
  static Result<std::unique_ptr<Device>> open(const std::string& path, const OpenOptions& options);

  /// Block devices do not tell what is allocated.
  io::Task<Result<std::vector<Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                   std::size_t most) override;

 private:
  using DescriptorDevice::DescriptorDevice;
  Result<std::uint64_t> current_size() const override;
  /// ENODEV for a disk that has been pulled out.
  int cause_of(int code) const override;
};

}  // namespace peerlane::block
