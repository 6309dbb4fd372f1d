#include "cli/unmap.h"

#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/units.h"
#include "cli/disks.h"
#include "cli/run.h"

namespace peerlane::cli {
namespace {

constexpr const char* kUnmapFooter =
    R"(DISK: PATH of a file or block device, or iscsi://host[:port]/target-name/lun.
What was in the range is LOST: it reads as zeroes afterwards, and its space is free for others. --yes says so.
Parts at both ends that are smaller than the disk's unit of space (`peerlane info DISK`: unmap granularity) may keep
their space; they read as zeroes as well.
Exit codes: 0 done, 1 it failed, 2 the command line is wrong.

Examples:
  peerlane unmap iscsi://192.0.2.7/iqn.2026-11.dev.peerlane:store/0 --offset 1G --length 512M --yes
  peerlane unmap /srv/scratch.img --all --yes
)";

struct Range {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

Result<std::uint64_t> size_of(const std::string& text, const char* option) {
  auto size = parse_size(text);
  if (!size) return fail(size.error().code, fmt::format("{}: {}", option, size.error().text()));
  return size;
}

Result<Range> range_of(const UnmapArguments& arguments, const block::Geometry& geometry) {
  if (arguments.all) return Range{0, geometry.size};
  Range range;
  if (!arguments.offset.empty()) {
    const auto offset = size_of(arguments.offset, "--offset");
    if (!offset) return std::unexpected(offset.error());
    range.offset = *offset;
  }
  const auto length = size_of(arguments.length, "--length");
  if (!length) return std::unexpected(length.error());
  range.length = *length;
  if (range.offset > geometry.size || range.length > geometry.size - range.offset) {
    return fail(ERANGE, fmt::format("the range goes beyond the end of the disk, which has {} bytes", geometry.size));
  }
  const std::uint32_t unit = geometry.logical_block_size;
  if (range.offset % unit != 0 || range.length % unit != 0) {
    return fail(EINVAL, fmt::format("--offset and --length are multiples of the disk's blocks of {} bytes", unit));
  }
  return range;
}

io::Task<ExitCode> unmap_on(block::Device& disk, const UnmapArguments& arguments) {
  const auto range = range_of(arguments, disk.geometry());
  if (!range) co_return complain(range.error(), ExitCode::kUsage);
  if (disk.capabilities().read_only) co_return complain({EROFS, "the disk is read-only"});
  if (!disk.capabilities().unmap) {
    co_return complain({ENOTSUP,
                        "the disk cannot unmap: it has all of its space for good, or does not promise zeroes "
                        "afterwards; `peerlane info` shows what it can do"});
  }
  auto done = co_await disk.unmap(range->offset, range->length);
  if (done) done = co_await disk.flush();
  if (!done) co_return complain(done.error());
  fmt::print("unmapped {} from offset {}\n", format_size(range->length), range->offset);
  co_return ExitCode::kOk;
}

io::Task<ExitCode> run(const UnmapArguments& arguments) {
  const block::OpenOptions options;
  std::string spec = arguments.disk;
  auto opening = open_disk(std::move(spec), options);
  auto disk = co_await std::move(opening);
  if (!disk) co_return complain(disk.error());
  const ExitCode code = co_await unmap_on(**disk, arguments);
  const auto closed = co_await (*disk)->close();
  if (!closed && code == ExitCode::kOk) co_return complain(closed.error());
  co_return code;
}

}  // namespace

void add_unmap_options(CLI::App& command, UnmapArguments& arguments) {
  command.footer(kUnmapFooter);
  command.add_option("DISK", arguments.disk, "The disk")->required()->type_name("");
  command.add_option("--offset", arguments.offset, "Where the range begins (default: 0)")->type_name("SIZE");
  auto* const length = command.add_option("--length", arguments.length, "How long it is")->type_name("SIZE");
  command.add_flag("--all", arguments.all, "The whole disk")->excludes(length);
  command.add_flag("-y,--yes", arguments.yes, "What is in the range may be lost");
}

ExitCode unmap(const UnmapArguments& arguments) {
  if (!arguments.all && arguments.length.empty()) {
    return complain({EINVAL, "give the range's --length (and --offset), or --all for the whole disk"},
                    ExitCode::kUsage);
  }
  if (!arguments.yes) {
    return complain({EPERM, "what is in the range would be lost; give --yes if nothing of it is needed"},
                    ExitCode::kUsage);
  }
  return run_on_reactor([&arguments] { return run(arguments); });
}

}  // namespace peerlane::cli
