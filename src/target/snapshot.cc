#include "target/snapshot.h"

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "copy/job.h"
#include "copy/plan.h"
#include "target/logical_unit.h"

namespace peerlane::target {
namespace {

std::string path_of(int descriptor) {
  return fmt::format("/proc/self/fd/{}", descriptor);
}

/// A file without a name in the directory of the unit's, as long as the unit.
Result<std::unique_ptr<block::Device>> make_file(const LogicalUnit& unit) {
  const auto backing = unit.device().backing();
  struct stat status{};
  if (!backing || fstat(backing->descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    return fail(ENOTSUP, "the unit is no file");
  }
  std::error_code error;
  const std::filesystem::path place = std::filesystem::read_symlink(path_of(backing->descriptor), error).parent_path();
  if (error) return fail(error.value());
  const int file = open(place.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0) return fail(errno, "no new file can be made in " + place.string());
  Result<std::unique_ptr<block::Device>> device = fail(ENOSPC, "the new file cannot be made as long as the unit");
  if (ftruncate(file, static_cast<off_t>(unit.device().geometry().size)) == 0) {
    block::OpenOptions options;
    options.logical_block_size = unit.block_size();
    options.direct = backing->direct;
    device = block::open_device(path_of(file), options);
  }
  close(file);
  return device;
}

io::Task<Result<void>> share(const LogicalUnit& unit, block::Device& snapshot, ByteRange range) {
  copy::End source;
  source.device = &unit.device();
  source.name = unit.identity().serial;
  source.size = unit.device().geometry().size;
  copy::End destination;
  destination.device = &snapshot;
  destination.name = "the snapshot";
  destination.size = snapshot.geometry().size;
  destination.zero_from = 0;
  copy::PlanOptions options;
  options.source_offset = range.offset;
  options.length = range.length;
  options.destination_offset = range.offset;
  options.only = copy::Way::kClone;
  auto plan = co_await copy::plan(std::move(source), std::move(destination), options);
  if (!plan) co_return std::unexpected(plan.error());
  copy::JobOptions job_options;
  job_options.flush = false;
  const auto job = std::make_unique<copy::Job>(std::move(*plan), job_options);
  auto done = co_await job->run();
  co_return done;
}

}  // namespace

io::Task<Result<std::shared_ptr<block::Device>>> take_snapshot(const LogicalUnit& unit, std::vector<ByteRange> ranges) {
  auto file = make_file(unit);
  if (!file) co_return std::unexpected(file.error());
  std::shared_ptr<block::Device> snapshot(std::move(*file));
  for (const ByteRange& range : ranges) {
    auto shared = co_await share(unit, *snapshot, range);
    if (!shared) co_return std::unexpected(shared.error());
  }
  co_return snapshot;
}

}  // namespace peerlane::target
