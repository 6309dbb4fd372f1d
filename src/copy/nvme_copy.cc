#include "copy/nvme_copy.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/limits.h"
#include "copy/storage.h"
#include "io/reactor.h"

namespace peerlane::copy {
namespace {

/// The place, without its limits; or why there is none.
Result<NvmeCopyPlace> find_place(const Machine& machine, const Storage& source, const Storage& destination) {
  for (const Storage* const end : {&source, &destination}) {
    if (end->kind != Storage::Kind::kBlockDevice) {
      return fail(ENOTSUP, end->name + " is a file, and where its blocks lie on the disk is for its file system only");
    }
  }
  const auto from = disk_beneath(machine, source);
  if (!from) return std::unexpected(from.error());
  const auto to = disk_beneath(machine, destination);
  if (!to) return std::unexpected(to.error());
  const auto controllers = machine.disks.controllers_of(*to->disk);
  if (machine.disks.controllers_of(*from->disk) != controllers) {
    return fail(ENOTSUP, fmt::format("{} and {} have different controllers", from->disk->name, to->disk->name));
  }
  if (!from->disk->nsid || !to->disk->nsid) return fail(ENOTSUP, "the namespaces' identifiers cannot be told");
  return NvmeCopyPlace{.path = "/dev/" + to->disk->name,
                       .source_nsid = *from->disk->nsid,
                       .destination_nsid = *to->disk->nsid,
                       .source_offset = from->offset,
                       .destination_offset = to->offset,
                       .limits = {}};
}

Result<nvme::CopyLimits> ask(const NvmeCopyPlace& place) {
  const block::Descriptor descriptor(::open(place.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor.get() < 0) return std::unexpected(Error::from_errno(errno, "opening " + place.path));
  auto limits = nvme::ask_limits(descriptor.get(), place.destination_nsid);
  if (!limits && limits.error().code == EACCES) return fail(EACCES, "only root may give NVMe commands");
  return limits;
}

Result<void> check(const NvmeCopyPlace& place) {
  const nvme::CopyLimits& limits = place.limits;
  if (!limits.copy) return fail(ENOTSUP, place.path + ": its controller does not have the Copy command (ONCS)");
  if (limits.block == 0 || limits.metadata) {
    return fail(ENOTSUP, place.path + " has logical blocks with metadata, which would have to be copied as well");
  }
  if (nvme::most_blocks(limits) == 0)
    return fail(ENOTSUP, place.path + " states that it copies no blocks (MCL, MSSRL)");
  const bool inside = place.source_nsid == place.destination_nsid;
  if (!inside && !limits.formats_enabled) {
    return fail(ENOTSUP, fmt::format("{}: copying between namespaces takes Copy Descriptor Format 2, which is not "
                                     "enabled (Host Behavior Support, CDFE)",
                                     place.path));
  }
  if ((limits.formats & (inside ? 1u : 4u)) == 0) {
    return fail(ENOTSUP, place.path + " does not take the Copy Descriptor Format that this needs (OCFS)");
  }
  return {};
}

}  // namespace

Result<DirectWay> consider_nvme_copy(const Machine& disks, const Storage& source, const Storage& destination) {
  auto place = find_place(disks, source, destination);
  if (!place) return std::unexpected(place.error());
  const auto limits = ask(*place);
  if (!limits) return std::unexpected(limits.error());
  place->limits = *limits;
  const auto possible = check(*place);
  if (!possible) return std::unexpected(possible.error());
  // A multiple of 4096 bytes, unless the disk takes less at once.
  const std::uint64_t most = std::min(nvme::most_blocks(*limits) * limits->block, limits::kNvmeCopyBytes);
  if (most < 4096) return fail(ENOTSUP, fmt::format("{} copies only {} bytes at once", place->path, most));
  return DirectWay{.way = Way::kNvmeCopy,
                   .unit = limits->block,
                   .most = most - most % 4096,
                   .to_end = false,
                   .through = fmt::format("inside {}", place->path),
                   .bandwidth = {},
                   .refusals = {},
                   .make_mover = [place = *place](const End& from, const End& to, const MoverTools& tools)
                       -> std::unique_ptr<Mover> { return std::make_unique<NvmeCopy>(from, to, place, tools); }};
}

NvmeCopy::NvmeCopy(const End& source, const End& destination, NvmeCopyPlace place, const MoverTools& tools)
    : source_(source),
      destination_(destination),
      place_(std::move(place)),
      namespace_(::open(place_.path.c_str(), O_RDWR | O_CLOEXEC)),
      account_(tools.account),
      background_(limits::kDirectThreads) {}

io::Task<Result<void>> NvmeCopy::move(Piece piece) {
  const std::uint64_t block = place_.limits.block;
  const std::uint64_t from = place_.source_offset + piece.source;
  const std::uint64_t to = place_.destination_offset + piece.destination;
  if ((from | to | piece.length) % block != 0) co_return fail(ENOTSUP, "it begins or ends inside a logical block");
  if (piece.length / block > nvme::most_blocks(place_.limits))
    co_return fail(ENOTSUP, "it is too long for one command");
  auto sending = io::later([this, piece] { return send(piece); });
  auto reading = source_.device->around(piece.source, piece.length, std::move(sending));
  auto done = co_await destination_.device->around(piece.destination, piece.length, std::move(reading));
  co_return done;
}

io::Task<Result<void>> NvmeCopy::send(Piece piece) {
  const int done = co_await background_.run(io::Reactor::current(), [this, &piece] { return carry_out(piece); });
  if (done < 0) co_return fail(ENOTSUP, std::string("the Copy command could not be given: ") + std::strerror(-done));
  if (done > 0) co_return fail(ENOTSUP, fmt::format("the Copy command ended with NVMe status {:#x}", done));
  account_.add(Way::kNvmeCopy, piece.length);
  co_return Result<void>();
}

/// Gives the command, on a thread on which it may block: as ioctl(2).
int NvmeCopy::carry_out(const Piece& piece) {
  const std::uint64_t block = place_.limits.block;
  const auto length = static_cast<off_t>(piece.length);
  const std::pair<const End*, std::uint64_t> ends[] = {{&source_, piece.source}, {&destination_, piece.destination}};
  for (const auto& [end, offset] : ends) {
    constexpr unsigned kWriteOut = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    const int descriptor = end->device->backing()->descriptor;
    if (sync_file_range(descriptor, static_cast<off_t>(offset), length, kWriteOut) != 0) return -1;
  }
  const auto ranges =
      nvme::cut(place_.limits, place_.source_nsid, (place_.source_offset + piece.source) / block, piece.length / block);
  const int status =
      nvme::copy(namespace_.get(), place_.destination_nsid, (place_.destination_offset + piece.destination) / block,
                 ranges, place_.source_nsid != place_.destination_nsid);
  const int code = errno;
  posix_fadvise(destination_.device->backing()->descriptor, static_cast<off_t>(piece.destination), length,
                POSIX_FADV_DONTNEED);
  errno = code;
  return status;
}

}  // namespace peerlane::copy
