#include "copy/zeroes.h"

#include <algorithm>

#include "base/limits.h"

namespace peerlane::copy {

io::Task<Result<void>> Zeroes::move(Piece piece) {
  const std::uint64_t block = destination_.block();
  const std::uint64_t end = piece.destination + piece.length;
  // The last block may go beyond the end of the bytes that the disk really has.
  const std::uint64_t blocks_end = end == destination_.size ? (end + block - 1) / block * block : end;
  const std::uint64_t known = destination_.zero_from;
  const std::uint64_t known_from = known >= blocks_end ? blocks_end : (known + block - 1) / block * block;
  const std::uint64_t made_to = std::clamp(known_from, piece.destination, blocks_end);
  if (made_to > piece.destination) {
    auto made = co_await make(piece.destination, made_to - piece.destination);
    if (!made) co_return made;
  }
  const std::uint64_t bytes_made = std::min(made_to, end) - piece.destination;
  account_.add(Way::kZeroes, bytes_made);
  account_.add(Way::kSkip, piece.length - bytes_made);
  co_return Result<void>();
}

io::Task<Result<void>> Zeroes::make(std::uint64_t offset, std::uint64_t length) {
  const block::Capabilities can = destination_.device->capabilities();
  const std::uint64_t block = destination_.block();
  if (offset % block != 0 || length % block != 0) co_return fail(ENOTSUP);
  Result<void> made = fail(ENOTSUP);
  if (can.write_zeroes) {
    made = co_await destination_.device->write_zeroes(offset, length, true);
  } else if (can.unmap && can.allocation) {
    made = co_await unmap(offset, length);
  }
  if (made) co_return made;
  // What disks answer to a request that they do not have after all.
  const int code = made.error().code;
  if (code == EOPNOTSUPP || code == EINVAL || code == ENOTTY || code == ENOSYS) co_return fail(ENOTSUP);
  co_return std::unexpected(explain("making zeroes on", destination_.name, offset, made.error()));
}

/// Unmaps, and asks whether all of it was: a disk may leave what is smaller than its units as it is.
io::Task<Result<void>> Zeroes::unmap(std::uint64_t offset, std::uint64_t length) {
  auto unmapped = co_await destination_.device->unmap(offset, length);
  if (!unmapped) co_return unmapped;
  const auto map = co_await destination_.device->allocation(offset, length, 2);
  if (!map) co_return std::unexpected(map.error());
  std::uint64_t clean = 0;
  for (const block::Extent& extent : *map) {
    if (extent.allocated) co_return fail(ENOTSUP);
    clean += extent.length;
  }
  if (clean < length) co_return fail(ENOTSUP);
  co_return Result<void>();
}

}  // namespace peerlane::copy
