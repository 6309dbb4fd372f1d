#include "copy/clone.h"

#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "copy/storage.h"
#include "io/reactor.h"

namespace peerlane::copy {
namespace {

/// Asks for nothing: a range that begins behind the end of the source. A file system that can share blocks calls that
/// invalid; others say what they cannot.
int ask_for_nothing(const Storage& source, const Storage& destination) {
  struct stat status{};
  if (fstat(source.backing.descriptor, &status) != 0) return errno;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  file_clone_range range{};
  range.src_fd = source.backing.descriptor;
  range.src_offset = (size / source.block + 2) * source.block;
  range.src_length = source.block;
  range.dest_offset = range.src_offset;
  return ioctl(destination.backing.descriptor, FICLONERANGE, &range) == 0 ? 0 : errno;
}

}  // namespace

Result<DirectWay> consider_clone(const Storage& source, const Storage& destination) {
  for (const Storage* const end : {&source, &destination}) {
    if (end->kind != Storage::Kind::kFile) return fail(ENOTSUP, end->name + " is no file");
  }
  // Subvolumes of btrfs have numbers of their own.
  const bool btrfs = source.file_system == BTRFS_SUPER_MAGIC && destination.file_system == BTRFS_SUPER_MAGIC;
  if (source.device != destination.device && !btrfs) {
    return fail(ENOTSUP, fmt::format("{} and {} lie on different file systems", source.name, destination.name));
  }
  const int answer = ask_for_nothing(source, destination);
  if (answer != EINVAL && answer != 0) {
    return fail(ENOTSUP, fmt::format("{} does not share blocks between these files: {}", source.file_system_name(),
                                     std::strerror(answer)));
  }
  return DirectWay{.way = Way::kClone,
                   .unit = source.block,
                   .most = limits::kCloneBytes,
                   .to_end = true,
                   .through = {},
                   .bandwidth = {},
                   .refusals = {},
                   .make_mover = [](const End& from, const End& to, const MoverTools& tools) -> std::unique_ptr<Mover> {
                     return std::make_unique<Clone>(from, to, tools);
                   }};
}

Clone::Clone(const End& source, const End& destination, const MoverTools& tools)
    : source_(source),
      destination_(destination),
      source_descriptor_(source.device->backing()->descriptor),
      destination_descriptor_(destination.device->backing()->descriptor),
      account_(tools.account) {}

io::Task<Result<void>> Clone::move(Piece piece) {
  auto sharing = io::later([this, piece] { return share(piece); });
  auto reading = source_.device->around(piece.source, piece.length, std::move(sharing));
  auto done = co_await destination_.device->around(piece.destination, piece.length, std::move(reading));
  co_return done;
}

io::Task<Result<void>> Clone::share(Piece piece) {
  file_clone_range range{};
  range.src_fd = source_descriptor_;
  range.src_offset = piece.source;
  range.src_length = piece.length;
  range.dest_offset = piece.destination;
  const auto share = [this, &range] { return ioctl(destination_descriptor_, FICLONERANGE, &range); };
  const int done = co_await threads_.run(share);
  if (done < 0)
    co_return fail(ENOTSUP, std::string("the file system does not share these blocks: ") + std::strerror(-done));
  account_.add(Way::kClone, piece.length);
  co_return Result<void>();
}

}  // namespace peerlane::copy
