#include "block/ram_device.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

#include <sys/mman.h>

#include "base/asymmetric_fence.h"
#include "base/sanitizers.h"

namespace peerlane::block {
namespace {

constexpr std::uint64_t kPageBytes = 4096;  // the granularity of the allocation map
constexpr std::uint64_t kPagesPerWord = 64;

constexpr std::uint64_t round_up(std::uint64_t value, std::uint64_t step) {
  return (value + step - 1) / step * step;
}

void* map_sparse(std::uint64_t bytes) {
  return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

/// The bits of the pages [first, end) that lie in the map's word `word`.
std::uint64_t bits_in_word(std::uint64_t word, std::uint64_t first, std::uint64_t end) {
  const std::uint64_t low = std::max(first, word * kPagesPerWord) - word * kPagesPerWord;
  const std::uint64_t high = std::min(end, (word + 1) * kPagesPerWord) - word * kPagesPerWord;
  const std::uint64_t below_high = high == kPagesPerWord ? ~std::uint64_t{0} : (std::uint64_t{1} << high) - 1;
  return below_high & ~((std::uint64_t{1} << low) - 1);
}

}  // namespace

Result<std::unique_ptr<RamDevice>> RamDevice::create(std::uint64_t size, std::uint32_t logical_block_size,
                                                     bool read_only, std::string spec) {
  if (logical_block_size != 512 && logical_block_size != 4096) {
    return fail(EINVAL, spec + ": the block size must be 512 or 4096");
  }
  size -= size % logical_block_size;
  if (size == 0) return fail(EINVAL, spec + ": smaller than one block");
  if (size > INT64_MAX) return fail(EINVAL, spec + ": too large");

  const std::uint64_t memory_bytes = round_up(size, kPageBytes);
  const std::uint64_t words = round_up(memory_bytes / kPageBytes, kPagesPerWord) / kPagesPerWord;
  void* const memory = map_sparse(memory_bytes);
  if (memory == MAP_FAILED) return std::unexpected(Error::from_errno(errno, spec + ": reserving memory"));
  // Random reads are a tenth faster with fewer misses of the TLB; memory is taken 2 MiB at a time then. No harm where
  // it fails.
  madvise(memory, memory_bytes, MADV_HUGEPAGE);
  // The map is as sparse as the memory that it describes. Zero bytes are valid atomics.
  void* const map = map_sparse(words * sizeof(MapWord));
  if (map == MAP_FAILED) {
    const int code = errno;
    munmap(memory, memory_bytes);
    return std::unexpected(Error::from_errno(code, spec + ": reserving memory"));
  }
  return std::unique_ptr<RamDevice>(new RamDevice({static_cast<std::uint8_t*>(memory), memory_bytes},
                                                  {static_cast<MapWord*>(map), words}, size, logical_block_size,
                                                  read_only, std::move(spec)));
}

RamDevice::RamDevice(ByteSpan memory, std::span<MapWord> map, std::uint64_t size, std::uint32_t logical_block_size,
                     bool read_only, std::string spec)
    : memory_(memory),
      map_(map),
      size_(size),
      logical_block_size_(logical_block_size),
      read_only_(read_only),
      spec_(std::move(spec)) {}

RamDevice::~RamDevice() {
  munmap(map_.data(), map_.size_bytes());
  munmap(memory_.data(), memory_.size());
}

Geometry RamDevice::geometry() const {
  return {.size = size_, .logical_block_size = logical_block_size_, .physical_block_size = logical_block_size_};
}

Capabilities RamDevice::capabilities() const {
  return {.read_only = read_only_,
          .unmap = !read_only_,
          .write_zeroes = !read_only_,
          .allocation = true,
          .volatile_cache = false,
          .fua = false,
          .atomic_write = !read_only_,  // when the host or the process ends, nothing of the disk is left
          .prefetch = true,
          .unmap_granularity = kPageBytes};
}

Identity RamDevice::identity() const {
  return {.spec = spec_, .stable = {}};
}

bool RamDevice::contains(std::uint64_t offset, std::uint64_t length) const {
  return offset % logical_block_size_ == 0 && length % logical_block_size_ == 0 && offset <= size_ &&
         length <= size_ - offset;
}

io::Task<Result<void>> RamDevice::read(std::uint64_t offset, ByteSpan into) {
  assert(contains(offset, into.size()));
  const OrderedByPeers ordered(memory_.data());
  if (!into.empty()) std::memcpy(into.data(), memory_.data() + offset, into.size());
  return io::ready(Result<void>());
}

io::Task<Result<void>> RamDevice::write(std::uint64_t offset, ByteView from, WriteFlags) {
  if (read_only_) return io::ready(Result<void>(fail(EROFS)));
  assert(contains(offset, from.size()));
  const OrderedByPeers ordered(memory_.data());
  if (!from.empty()) std::memcpy(memory_.data() + offset, from.data(), from.size());
  // After the copy, never before: an unmap of the same page in between would otherwise leave data in a page that is
  // marked as empty. This way round the worst is an empty page that is marked as allocated.
  mark_allocated(offset / kPageBytes, round_up(offset + from.size(), kPageBytes) / kPageBytes);
  return io::ready(Result<void>());
}

io::Task<Result<void>> RamDevice::flush() {
  return io::ready(Result<void>());
}

io::Task<Result<void>> RamDevice::unmap(std::uint64_t offset, std::uint64_t length) {
  if (read_only_) return io::ready(Result<void>(fail(EROFS)));
  assert(contains(offset, length));
  return io::ready(release(offset, length));
}

io::Task<Result<void>> RamDevice::write_zeroes(std::uint64_t offset, std::uint64_t length, bool) {
  if (read_only_) return io::ready(Result<void>(fail(EROFS)));
  assert(contains(offset, length));
  // Nothing is promised about space here, so releasing it is right whether or not the caller asks for that.
  return io::ready(release(offset, length));
}

/// Makes the range read as zeroes and gives its whole pages back to the system.
Result<void> RamDevice::release(std::uint64_t offset, std::uint64_t length) {
  const OrderedByPeers ordered(memory_.data());
  const std::uint64_t end = offset + length;
  const std::uint64_t first_page = round_up(offset, kPageBytes);
  const std::uint64_t end_page = end / kPageBytes * kPageBytes;
  if (first_page >= end_page) {
    std::memset(memory_.data() + offset, 0, length);
    return {};
  }
  std::memset(memory_.data() + offset, 0, first_page - offset);
  std::memset(memory_.data() + end_page, 0, end - end_page);
  mark_unallocated(first_page / kPageBytes, end_page / kPageBytes);
  if (madvise(memory_.data() + first_page, end_page - first_page, MADV_DONTNEED) != 0) {
    std::memset(memory_.data() + first_page, 0, end_page - first_page);
  }
  return {};
}

void RamDevice::mark_allocated(std::uint64_t first_page, std::uint64_t end_page) {
  // Keeps the look at the map below from overtaking the data that were just stored (see write).
  light_fence();
  for (std::uint64_t word = first_page / kPagesPerWord; word * kPagesPerWord < end_page; ++word) {
    const std::uint64_t bits = bits_in_word(word, first_page, end_page);
    // Most writes go where something was before: look first, so that cores do not fight for the map's cache lines.
    if ((map_[word].load(std::memory_order_relaxed) & bits) != bits) map_[word].fetch_or(bits);
  }
}

void RamDevice::mark_unallocated(std::uint64_t first_page, std::uint64_t end_page) {
  for (std::uint64_t word = first_page / kPagesPerWord; word * kPagesPerWord < end_page; ++word) {
    const std::uint64_t bits = bits_in_word(word, first_page, end_page);
    if ((map_[word].load(std::memory_order_relaxed) & bits) != 0) map_[word].fetch_and(~bits);
  }
  heavy_fence();  // whoever has not seen this yet, in mark_allocated, has stored its data by now
}

io::Task<Result<std::vector<Extent>>> RamDevice::allocation(std::uint64_t offset, std::uint64_t length,
                                                            std::size_t most) {
  assert(contains(offset, length));
  std::vector<Extent> extents;
  const std::uint64_t end = offset + length;
  while (offset < end) {
    const std::uint64_t page = offset / kPageBytes;
    const std::uint64_t word = map_[page / kPagesPerWord].load(std::memory_order_acquire);
    const bool allocated = (word >> page % kPagesPerWord & 1) != 0;
    const bool uniform = word == 0 || word == ~std::uint64_t{0};
    const std::uint64_t next_page = uniform ? (page / kPagesPerWord + 1) * kPagesPerWord : page + 1;
    const std::uint64_t stop = std::min(end, next_page * kPageBytes);
    if (!extents.empty() && extents.back().allocated == allocated) {
      extents.back().length += stop - offset;
    } else {
      if (extents.size() == most) break;
      extents.push_back({.offset = offset, .length = stop - offset, .allocated = allocated});
    }
    offset = stop;
  }
  co_return extents;
}

Result<Space> RamDevice::space() const {
  std::uint64_t pages = 0;
  for (const MapWord& word : map_) {
    pages += static_cast<std::uint64_t>(std::popcount(word.load(std::memory_order_relaxed)));
  }
  return Space{.used = std::min(pages * kPageBytes, size_), .available = std::nullopt};
}

}  // namespace peerlane::block
