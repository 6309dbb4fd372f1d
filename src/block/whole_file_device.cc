#include "block/whole_file_device.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/reactor.h"

namespace peerlane::block {
namespace {

constexpr std::uint64_t kLeastPage = 4096;
constexpr std::uint64_t kMostPage = 64u << 10;
constexpr std::uint64_t kEndless = std::uint64_t{1} << 62;

}  // namespace

Result<std::unique_ptr<WholeFileDevice>> WholeFileDevice::open(const std::string& path, const OpenOptions& options,
                                                               Growth growth) {
  auto opened = open_file(path, options);
  if (!opened) return std::unexpected(opened.error());
  // The same file again and not the path, which may name another one by now.
  const std::string again = fmt::format("/proc/self/fd/{}", opened->descriptor.get());
  Descriptor buffered(::open(again.c_str(), (options.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
  struct stat status{};
  if (buffered.get() < 0 || fstat(buffered.get(), &status) != 0) {
    return std::unexpected(Error::from_errno(errno, "cannot open " + path));
  }
  const auto page = std::clamp(static_cast<std::uint64_t>(status.st_blksize), kLeastPage, kMostPage);
  return std::unique_ptr<WholeFileDevice>(new WholeFileDevice(std::move(*opened), std::move(buffered), growth, page));
}

WholeFileDevice::WholeFileDevice(Opened opened, Descriptor buffered, Growth growth, std::uint64_t page)
    : FileDevice(std::move(opened.descriptor), std::move(opened.traits)),
      buffered_(std::move(buffered)),
      growth_(growth),
      page_(page),
      bytes_(opened.bytes) {}

Geometry WholeFileDevice::geometry() const {
  Geometry now = FileDevice::geometry();
  const std::uint64_t size = growth_ == Growth::kGrowing ? kEndless : bytes();
  now.size = (size + now.logical_block_size - 1) / now.logical_block_size * now.logical_block_size;
  return now;
}

/// Where the last page begins, if the file ends inside it. From there on everything goes through the page cache: a page
/// of which one part is written directly and another through the cache loses one of them.
std::uint64_t WholeFileDevice::edge() const {
  return bytes() - bytes() % page_;
}

io::Task<Result<void>> WholeFileDevice::read(std::uint64_t offset, ByteSpan into) {
  const std::uint64_t direct_end = edge();
  const std::uint64_t end = offset + into.size();
  if (end <= direct_end) return FileDevice::read(offset, into);
  return read_edge(offset, into);
}

/// A read that goes beyond the last whole page.
io::Task<Result<void>> WholeFileDevice::read_edge(std::uint64_t offset, ByteSpan into) {
  const std::uint64_t direct_end = edge();
  if (offset < direct_end) {
    const ByteSpan body = into.first(direct_end - offset);
    auto read = co_await FileDevice::read(offset, body);
    if (!read) co_return read;
    into = into.subspan(body.size());
    offset = direct_end;
  }
  const std::uint64_t there = std::min<std::uint64_t>(into.size(), bytes() - std::min(offset, bytes()));
  ByteSpan rest = into.first(there);
  const ByteSpan padding = into.subspan(there);
  std::memset(padding.data(), 0, padding.size());
  while (!rest.empty()) {
    const int got = co_await io::Reactor::current().read(buffered_.get(), rest, offset);
    if (got == -EINTR || got == -EAGAIN) continue;
    if (got <= 0) co_return fail(got == 0 ? EIO : -got);
    rest = rest.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  co_return Result<void>();
}

io::Task<Result<void>> WholeFileDevice::write(std::uint64_t offset, ByteView from, WriteFlags flags) {
  const std::uint64_t end = offset + from.size();
  if (growth_ == Growth::kFixed && end <= edge()) return FileDevice::write(offset, from, flags);
  return write_edge(offset, from, flags);
}

/// A write that goes beyond the last whole page, or makes the file longer.
io::Task<Result<void>> WholeFileDevice::write_edge(std::uint64_t offset, ByteView from, WriteFlags flags) {
  const std::uint64_t end = offset + from.size();
  if (growth_ == Growth::kGrowing) {
    auto written = co_await FileDevice::write(offset, from, flags);
    if (written) bytes_.store(std::max(bytes(), end), std::memory_order_relaxed);
    co_return written;
  }
  if (offset < edge()) {
    const ByteView body = from.first(edge() - offset);
    auto written = co_await FileDevice::write(offset, body, flags);
    if (!written) co_return written;
    from = from.subspan(body.size());
    offset += body.size();
  }
  from = from.first(std::min<std::uint64_t>(from.size(), bytes() - std::min(offset, bytes())));
  const int rw_flags = flags == WriteFlags::kFua ? RWF_DSYNC : 0;
  while (!from.empty()) {
    const int put = co_await io::Reactor::current().write(buffered_.get(), from, offset, rw_flags);
    if (put == -EINTR || put == -EAGAIN) continue;
    if (put <= 0) co_return fail(put == 0 ? EIO : -put);
    from = from.subspan(static_cast<std::size_t>(put));
    offset += static_cast<std::uint64_t>(put);
  }
  co_return Result<void>();
}

std::optional<Backing> WholeFileDevice::backing() const {
  auto backing = FileDevice::backing();
  backing->unit = static_cast<std::uint32_t>(page_);
  return backing;
}

Result<void> WholeFileDevice::resize(std::uint64_t bytes) {
  if (ftruncate(fd(), static_cast<off_t>(bytes)) != 0) {
    return std::unexpected(Error::from_errno(errno, "cannot change the size of " + identity().spec));
  }
  bytes_.store(bytes, std::memory_order_relaxed);
  return {};
}

std::string WholeFileDevice::file_identity() const {
  struct stat status{};
  if (fstat(fd(), &status) != 0) return {};
  return fmt::format("{}:{}", status.st_dev, status.st_ino);
}

std::string WholeFileDevice::version() const {
  struct stat status{};
  if (fstat(fd(), &status) != 0) return {};
  return fmt::format("{}.{:09}", status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
}

}  // namespace peerlane::block
