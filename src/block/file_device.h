// A regular file as a disk: sparse, read and written past the page cache where its file system can (O_DIRECT), unmapped
// by punching holes, its allocation known from SEEK_HOLE and SEEK_DATA.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "block/descriptor_device.h"

namespace peerlane::block {

class FileDevice : public DescriptorDevice {
 public:
  /// Opens the regular file at `path`, and locks it against a second writer. See open_device.
  static Result<std::unique_ptr<Device>> open(const std::string& path, const OpenOptions& options);

  io::Task<Result<std::vector<Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                   std::size_t most) override;
  Result<Space> space() const override;

 protected:
  /// A file that was opened and locked, with what was found out about it.
  struct Opened {
    Descriptor descriptor;
    Traits traits;
    std::uint64_t bytes = 0;  // its size as it is; the geometry has whole blocks
  };

  static Result<Opened> open_file(const std::string& path, const OpenOptions& options);

  using DescriptorDevice::DescriptorDevice;

 private:
  Result<std::uint64_t> current_size() const override;
};

}  // namespace peerlane::block
