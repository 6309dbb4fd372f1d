#include "attach/ublk_request.h"

#include <algorithm>
#include <bit>

#include "base/limits.h"

namespace peerlane::attach {
namespace {

using Kind = UblkRequest::Kind;

constexpr std::uint64_t kMarkShift = 48;
constexpr std::uint64_t kMark = std::uint64_t{0x504c} << kMarkShift;  // "PL"
constexpr std::uint64_t kDiskMask = (std::uint64_t{1} << kMarkShift) - 1;

Result<Kind> kind_of(std::uint32_t operation, const block::Capabilities& can) {
  switch (operation) {
    case ublk::kRead:
      return Kind::kRead;
    case ublk::kFlush:
      return Kind::kFlush;
    case ublk::kWrite:
      if (can.read_only) return fail(EROFS);
      return Kind::kWrite;
    case ublk::kDiscard:
      if (can.read_only) return fail(EROFS);
      if (can.unmap) return Kind::kUnmap;
      break;
    case ublk::kWriteZeroes:
      if (can.read_only) return fail(EROFS);
      if (can.write_zeroes) return Kind::kWriteZeroes;
      break;
    default:
      break;
  }
  return fail(ENOTSUP);
}

std::uint8_t shift_of(std::uint32_t power_of_two) {
  return static_cast<std::uint8_t>(std::countr_zero(power_of_two));
}

}  // namespace

Result<UblkRequest> decode_request(const ublk::RequestDescriptor& descriptor, const block::Geometry& geometry,
                                   const block::Capabilities& capabilities, std::uint32_t io_bytes) {
  const std::uint32_t word = descriptor.operation_and_flags;
  const auto kind = kind_of(word & 0xff, capabilities);
  if (!kind) return std::unexpected(kind.error());
  UblkRequest request;
  request.kind = *kind;
  if (request.kind == Kind::kFlush) return request;
  if (descriptor.first_sector > geometry.size >> ublk::kSectorShift) return fail(EIO);
  request.offset = descriptor.first_sector << ublk::kSectorShift;
  request.length = std::uint64_t{descriptor.sectors} << ublk::kSectorShift;
  if (request.length > geometry.size - request.offset) return fail(EIO);
  if ((request.offset | request.length) % geometry.logical_block_size != 0) return fail(EIO);
  const bool moves_data = request.kind == Kind::kRead || request.kind == Kind::kWrite;
  if (moves_data && request.length > io_bytes) return fail(EIO);
  request.fua = request.kind == Kind::kWrite && (word & ublk::kRequestFua) != 0;
  request.may_unmap = request.kind == Kind::kWriteZeroes && (word & ublk::kRequestNoUnmap) == 0;
  return request;
}

std::int32_t result_of(const UblkRequest& request, const Result<void>& done) {
  if (done) {
    const bool moves_data = request.kind == Kind::kRead || request.kind == Kind::kWrite;
    return moves_data ? static_cast<std::int32_t>(request.length) : 0;
  }
  switch (done.error().code) {
    case ENOSPC:
    case ENOTSUP:
    case EROFS:
    case ETIMEDOUT:
      return -done.error().code;
    default:
      return -EIO;
  }
}

ublk::Parameters parameters_of(const block::Geometry& geometry, const block::Capabilities& capabilities,
                               std::uint32_t io_bytes) {
  ublk::Parameters parameters{};
  parameters.length = sizeof parameters;
  parameters.types = ublk::kHasBasic;
  ublk::BasicParameters& basic = parameters.basic;
  if (capabilities.read_only) basic.attributes |= ublk::kReadOnly;
  // The kernel flushes and asks for FUA only where there is a cache that could lose something.
  if (capabilities.volatile_cache) basic.attributes |= ublk::kVolatileCache;
  if (capabilities.volatile_cache && capabilities.fua) basic.attributes |= ublk::kFua;
  basic.logical_block_shift = shift_of(geometry.logical_block_size);
  basic.physical_block_shift = shift_of(std::max(geometry.physical_block_size, geometry.logical_block_size));
  basic.least_io_shift = basic.physical_block_shift;
  basic.optimal_io_shift = basic.physical_block_shift;
  basic.most_sectors = io_bytes >> ublk::kSectorShift;
  basic.sectors = geometry.size >> ublk::kSectorShift;

  if (capabilities.read_only || (!capabilities.unmap && !capabilities.write_zeroes)) return parameters;
  parameters.types |= ublk::kHasDiscard;
  constexpr std::uint32_t kMostSectors = limits::kAttachDiscardBytes >> ublk::kSectorShift;
  ublk::DiscardParameters& discard = parameters.discard;
  discard.granularity = std::max(capabilities.unmap_granularity, geometry.logical_block_size);
  if (capabilities.unmap) {
    discard.most_discard_sectors = kMostSectors;
    discard.most_segments = 1;
  }
  if (capabilities.write_zeroes) discard.most_write_zeroes_sectors = kMostSectors;
  return parameters;
}

std::uint64_t mark_of(std::string_view stable_identity) {
  if (stable_identity.empty()) return kMark;
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a: nobody has an interest in a collision
  for (const char c : stable_identity) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
  return kMark | std::max<std::uint64_t>((hash ^ (hash >> kMarkShift)) & kDiskMask, 1);
}

bool is_marked(std::uint64_t server_flags) {
  return (server_flags & ~kDiskMask) == kMark;
}

bool names_a_disk(std::uint64_t server_flags) {
  return is_marked(server_flags) && (server_flags & kDiskMask) != 0;
}

}  // namespace peerlane::attach
