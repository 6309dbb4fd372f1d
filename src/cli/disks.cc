#include "cli/disks.h"

#include <cerrno>

#include <fmt/format.h>

namespace peerlane::cli {

bool is_path(const std::string& spec) {
  return !spec.starts_with("ram:") && spec.find("://") == std::string::npos;
}

io::Task<Result<std::unique_ptr<block::Device>>> open_disk(std::string spec, block::OpenOptions options) {
  if (!is_path(spec) && !spec.starts_with("ram:")) {
    co_return fail(ENOTSUP, fmt::format("this build has no disks of the kind \"{}\"; name a file, a block device, or "
                                        "ram:SIZE",
                                        spec.substr(0, spec.find("://") + 3)));
  }
  co_return block::open_device(spec, options);
}

}  // namespace peerlane::cli
