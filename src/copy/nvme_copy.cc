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
      return fail(ENOTSUP, end->name + " is a file, whose blocks only its file system knows");
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

Result<nvme::CopyLimits> ask(const NvmeCopyPlace& place, std::uint32_t nsid) {
  const block::Descriptor descriptor(::open(place.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (descriptor.get() < 0) return std::unexpected(Error::from_errno(errno, "opening " + place.path));
  auto limits = nvme::ask_limits(descriptor.get(), nsid);
  if (!limits && limits.error().code == EACCES) return fail(EACCES, "only root may give NVMe commands");
  return limits;
}

/// Whether metadata are protection information and nothing else, of a kind whose tags are known.
Result<void> check_metadata(const NvmeCopyPlace& place) {
  const nvme::CopyLimits& limits = place.limits;
  if (limits.metadata == 0) return {};
  if (limits.protection == 0) {
    return fail(ENOTSUP,
                fmt::format("{} has logical blocks with {} bytes of metadata each, of which nobody knows whose "
                            "they are",
                            place.path, limits.metadata));
  }
  if (limits.guard == nvme::Guard::kOther || limits.storage_tag != 0) {
    return fail(ENOTSUP, fmt::format("{} has protection information with a guard of 32 bits, or with storage tags "
                                     "(ELBAF), which nobody here knows",
                                     place.path));
  }
  const unsigned protection = limits.guard == nvme::Guard::k16 ? 8 : 16;
  if (limits.metadata == protection) return {};
  return fail(ENOTSUP,
              fmt::format("{} has logical blocks with {} bytes of metadata each, of which only {} are protection "
                          "information",
                          place.path, limits.metadata, protection));
}

/// A copy between namespaces whose blocks are not made alike would lose something, or is refused.
Result<void> check_source(const NvmeCopyPlace& place) {
  const auto source = ask(place, place.source_nsid);
  if (!source) return std::unexpected(source.error());
  const nvme::CopyLimits& own = place.limits;
  if (source->block == own.block && source->metadata == own.metadata && source->protection == own.protection &&
      source->guard == own.guard && source->storage_tag == own.storage_tag) {
    return {};
  }
  return fail(ENOTSUP, fmt::format("the logical blocks of the two namespaces of {} are not made alike (LBA format)",
                                   place.path));
}

Result<void> check(const NvmeCopyPlace& place) {
  const nvme::CopyLimits& limits = place.limits;
  if (!limits.copy) return fail(ENOTSUP, place.path + ": its controller does not have the Copy command (ONCS)");
  if (limits.block == 0) return fail(ENOTSUP, place.path + " has logical blocks of a strange size (LBADS)");
  const auto metadata = check_metadata(place);
  if (!metadata) return metadata;
  if (nvme::most_blocks(limits) == 0)
    return fail(ENOTSUP, place.path + " states that it copies no blocks (MCL, MSSRL)");
  const bool inside = place.source_nsid == place.destination_nsid;
  const unsigned format = nvme::form_for(limits, !inside).format;
  if (!inside && (limits.enabled & 1u << format) == 0) {
    return fail(ENOTSUP, fmt::format("{}: copying between namespaces takes Copy Descriptor Format {}, which is not "
                                     "enabled (Host Behavior Support, CDFE)",
                                     place.path, format));
  }
  if ((limits.formats & 1u << format) == 0) {
    return fail(ENOTSUP,
                fmt::format("{} does not take Copy Descriptor Format {}, which this needs (OCFS)", place.path, format));
  }
  return inside ? Result<void>() : check_source(place);
}

}  // namespace

Result<DirectWay> consider_nvme_copy(const Machine& disks, const Storage& source, const Storage& destination) {
  auto place = find_place(disks, source, destination);
  if (!place) return std::unexpected(place.error());
  const auto limits = ask(*place, place->destination_nsid);
  if (!limits) return std::unexpected(limits.error());
  place->limits = *limits;
  const auto possible = check(*place);
  if (!possible) return std::unexpected(possible.error());
  return DirectWay{.way = Way::kNvmeCopy,
                   .unit = limits->block,
                   .most = limits::kNvmeCopyBytes,
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
      account_(tools.account) {}

io::Task<Result<void>> NvmeCopy::move(Piece piece) {
  const std::uint64_t block = place_.limits.block;
  const std::uint64_t from = place_.source_offset + piece.source;
  const std::uint64_t to = place_.destination_offset + piece.destination;
  if ((from | to | piece.length) % block != 0) co_return fail(ENOTSUP, "it begins or ends inside a logical block");
  auto sending = io::later([this, piece] { return send(piece); });
  auto reading = source_.device->around(piece.source, piece.length, std::move(sending));
  auto done = co_await destination_.device->around(piece.destination, piece.length, std::move(reading));
  co_return done;
}

io::Task<Result<void>> NvmeCopy::send(Piece piece) {
  const auto copy = [this, &piece] { return carry_out(piece); };
  const int done = co_await threads_.run(copy);
  if (done == -ECANCELED) co_return fail(ECANCELED, "interrupted");
  if (done < 0) co_return fail(ENOTSUP, std::string("the Copy command could not be given: ") + std::strerror(-done));
  if (done > 0) co_return fail(ENOTSUP, fmt::format("the Copy command ended with NVMe status {:#x}", done));
  account_.add(Way::kNvmeCopy, piece.length);
  co_return Result<void>();
}

// --- On a thread on which calls may block. As ioctl(2): 0, an NVMe status, or -1 and errno ---

/// Gives the commands, one after the other.
int NvmeCopy::carry_out(const Piece& piece) {
  const auto length = static_cast<off_t>(piece.length);
  const std::pair<const End*, std::uint64_t> ends[] = {{&source_, piece.source}, {&destination_, piece.destination}};
  for (const auto& [end, offset] : ends) {
    constexpr unsigned kWriteOut = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    const int descriptor = end->device->backing()->descriptor;
    if (sync_file_range(descriptor, static_cast<off_t>(offset), length, kWriteOut) != 0) return -1;
  }
  const int status = give_commands(piece);
  const int code = errno;
  posix_fadvise(destination_.device->backing()->descriptor, static_cast<off_t>(piece.destination), length,
                POSIX_FADV_DONTNEED);
  errno = code;
  return status;
}

int NvmeCopy::give_commands(const Piece& piece) {
  const std::uint64_t block = place_.limits.block;
  const nvme::CopyForm form = nvme::form_for(place_.limits, place_.source_nsid != place_.destination_nsid);
  std::uint64_t from = (place_.source_offset + piece.source) / block;
  std::uint64_t to = (place_.destination_offset + piece.destination) / block;
  std::uint64_t left = piece.length / block;
  while (left != 0) {
    if (canceled_) {
      errno = ECANCELED;
      return -1;
    }
    const std::uint64_t blocks = std::min(left, nvme::most_blocks(place_.limits));
    const auto ranges = nvme::cut(place_.limits, place_.source_nsid, from, blocks);
    const int status = nvme::copy(namespace_.get(), place_.destination_nsid, to, ranges, form);
    if (status != 0) return status;
    from += blocks;
    to += blocks;
    left -= blocks;
  }
  return 0;
}

}  // namespace peerlane::copy
