#include "block/descriptor_device.h"

#include <cassert>
#include <utility>

#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/reactor.h"

namespace peerlane::block {

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

DescriptorDevice::DescriptorDevice(Descriptor descriptor, Traits traits)
    : descriptor_(std::move(descriptor)),
      geometry_(traits.geometry),
      capabilities_(traits.capabilities),
      identity_(std::move(traits.identity)),
      memory_alignment_(traits.memory_alignment),
      size_(traits.geometry.size) {}

Geometry DescriptorDevice::geometry() const {
  Geometry now = geometry_;
  now.size = size_.load(std::memory_order_acquire);
  return now;
}

io::Task<Result<void>> DescriptorDevice::read(std::uint64_t offset, ByteSpan into) {
  assert(reinterpret_cast<std::uintptr_t>(into.data()) % memory_alignment_ == 0);
  io::Reactor& reactor = io::Reactor::current();
  while (!into.empty()) {
    const int got = co_await reactor.read(fd(), into, offset);
    if (got == -EINTR || got == -EAGAIN) continue;
    // 0 at the end of a file that has shrunk: the blocks are gone.
    if (got <= 0) co_return fail(cause_of(got == 0 ? EIO : -got));
    into = into.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  co_return Result<void>();
}

io::Task<Result<void>> DescriptorDevice::write(std::uint64_t offset, ByteView from, WriteFlags flags) {
  assert(reinterpret_cast<std::uintptr_t>(from.data()) % memory_alignment_ == 0);
  io::Reactor& reactor = io::Reactor::current();
  const int rw_flags = flags == WriteFlags::kFua ? RWF_DSYNC : 0;
  while (!from.empty()) {
    const int put = co_await reactor.write(fd(), from, offset, rw_flags);
    if (put == -EINTR || put == -EAGAIN) continue;
    if (put <= 0) co_return fail(cause_of(put == 0 ? EIO : -put));
    from = from.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  co_return Result<void>();
}

io::Task<Result<void>> DescriptorDevice::flush() {
  if (capabilities_.read_only) co_return Result<void>();
  const int done = co_await io::Reactor::current().fdatasync(fd());
  if (done < 0) co_return fail(-done);
  co_return Result<void>();
}

io::Task<Result<void>> DescriptorDevice::fallocate(int mode, std::uint64_t offset, std::uint64_t length) {
  int done = -EINTR;
  while (done == -EINTR) done = co_await io::Reactor::current().fallocate(fd(), mode, offset, length);
  if (done < 0) co_return fail(-done);
  co_return Result<void>();
}

io::Task<Result<void>> DescriptorDevice::unmap(std::uint64_t offset, std::uint64_t length) {
  assert(capabilities_.unmap);
  return fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
}

io::Task<Result<void>> DescriptorDevice::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  assert(capabilities_.write_zeroes);
  const bool punch = may_unmap && capabilities_.unmap;
  return fallocate((punch ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE) | FALLOC_FL_KEEP_SIZE, offset, length);
}

std::optional<Backing> DescriptorDevice::backing() const {
  return Backing{.descriptor = fd(), .direct = memory_alignment_ > 1, .unit = geometry_.logical_block_size};
}

Result<bool> DescriptorDevice::refresh_size() {
  const auto now = current_size();
  if (!now) return std::unexpected(now.error());
  const std::uint64_t usable = *now - *now % geometry_.logical_block_size;
  return size_.exchange(usable, std::memory_order_acq_rel) != usable;
}

}  // namespace peerlane::block
