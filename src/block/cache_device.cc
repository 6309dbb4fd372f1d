#include "block/cache_device.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "base/log.h"
#include "base/units.h"
#include "io/reactor.h"

namespace peerlane::block {
namespace {

constexpr std::uint64_t kFillPages = limits::kCacheFillBytes / kCachePageBytes;
constexpr std::uint64_t kReadAheadPart = 64;  // no stream is read ahead by more than one part of so many of the memory

io::Task<Result<void>> done() {
  co_return Result<void>();
}

bool is_aligned(const void* memory, std::uint32_t alignment) {
  return reinterpret_cast<std::uintptr_t>(memory) % alignment == 0;
}

/// The part of a page that [offset, offset + length) has.
struct Part {
  std::uint32_t within;  // from here in the page
  std::size_t at;        // from here in the range
  std::size_t size;
};
Part part_of(std::uint64_t page, std::uint64_t offset, std::size_t length) {
  const std::uint64_t begin = std::max(page * kCachePageBytes, offset);
  const std::uint64_t end = std::min((page + 1) * kCachePageBytes, offset + length);
  return {static_cast<std::uint32_t>(begin - page * kCachePageBytes), begin - offset, end - begin};
}

}  // namespace

CacheDevice::CacheDevice(std::unique_ptr<Device> inner, CacheMemory& memory, const CacheOptions& options)
    : FilterDevice(std::move(inner)),
      memory_(memory),
      owner_(memory),
      read_ahead_(std::min(options.read_ahead, memory.bytes() / kReadAheadPart)) {
  assert(options.mode != CacheMode::kOff);
  if (options.mode == CacheMode::kWriteBack && !this->inner().capabilities().read_only) {
    write_out_.emplace(memory_, owner_, this->inner(), locks_);
  }
}

CacheDevice::~CacheDevice() = default;

Capabilities CacheDevice::capabilities() const {
  Capabilities all = inner().capabilities();
  if (!write_out_) return all;
  // What goes through to a device that forgets nothing is as durable as what is flushed.
  all.fua = all.fua || !all.volatile_cache;
  all.volatile_cache = true;
  return all;
}

Statistics CacheDevice::statistics() const {
  Statistics all = inner().statistics();
  all.cache = owner_.statistics();
  return all;
}

CacheDevice::Pages CacheDevice::pages_of(std::uint64_t offset, std::uint64_t length) {
  return {offset / kCachePageBytes, (offset + length + kCachePageBytes - 1) / kCachePageBytes};
}

// --- Reading ---

io::Task<Result<void>> CacheDevice::read(std::uint64_t offset, ByteSpan into) {
  if (into.empty()) return done();
  const ReadAhead::Advice advice = note_read(offset, into.size());
  const Pages pages = pages_of(offset, into.size());
  const std::uint64_t missing = copy_hits(offset, into, pages.first, advice.goes_on);
  // After the hits, so that nobody waits for what is there, and before the misses, so that both are fetched together.
  if (advice.ahead) start_read_ahead(*advice.ahead);
  if (missing == pages.end) return done();
  return read_missing(offset, into, missing);
}

/// Copies the pages from `page` on as far as they are here; the first that is not.
std::uint64_t CacheDevice::copy_hits(std::uint64_t offset, ByteSpan into, std::uint64_t page, bool goes_on) {
  const std::uint64_t end = pages_of(offset, into.size()).end;
  const std::uint64_t begin = page;
  // Who reads on in small steps reads a page several times, but that does not make it one that others will want.
  bool again = !goes_on || offset % kCachePageBytes == 0;
  for (; page < end; ++page) {
    if (copy_page(offset, into, page, again) != CacheMemory::Found::kHere) break;
    again = true;
  }
  if (page != begin) owner_.count_hits(page - begin);
  return page;
}

CacheMemory::Found CacheDevice::copy_page(std::uint64_t offset, ByteSpan into, std::uint64_t page, bool again) {
  const Part part = part_of(page, offset, into.size());
  return memory_.copy_out(owner_, page, part.within, into.subspan(part.at, part.size), again);
}

/// Reads the rest of a range, from the page `page` on, which was not here just now.
io::Task<Result<void>> CacheDevice::read_missing(std::uint64_t offset, ByteSpan into, std::uint64_t page) {
  const Pages all = pages_of(offset, into.size());
  bool waited = false;  // for this page: once is enough, or a page that is written all the time is never read
  while (page < all.end) {
    const CacheMemory::Found found = copy_page(offset, into, page, !waited);
    if (found == CacheMemory::Found::kComing && !waited) {
      owner_.count_joined();
      co_await memory_.fetched(owner_, page);
      waited = true;
      continue;
    }
    if (found == CacheMemory::Found::kHere) {
      if (!waited) owner_.count_hits(1);
      waited = false;
      ++page;
      continue;
    }
    CacheFill fill;
    const Pages run{page, std::min({all.end, page + kFillPages, std::max(whole_pages(), page + 1)})};
    const std::uint64_t claimed = claim(run, fill);
    // What somebody else fetches now, or has fetched since, or no room is left for, is read past the cache.
    const Pages fetched{page, std::max(claimed, page + 1)};
    owner_.count_misses(fetched.end - fetched.first);
    auto result = co_await fetch(offset, into, fetched, fill, claimed);
    if (!result) co_return result;
    waited = false;
    page = fetched.end;
  }
  co_return Result<void>();
}

/// Announces the pages from the first on as far as they are missing and there is room; the first that is not announced.
/// What is left of a disk behind its last whole page is never kept.
std::uint64_t CacheDevice::claim(Pages pages, CacheFill& fill) {
  const std::uint64_t end = std::min(pages.end, whole_pages());
  std::uint64_t page = pages.first;
  while (page < end && memory_.begin_fill(owner_, page, fill) == CacheMemory::Claim::kClaimed) ++page;
  return page;
}

/// Reads `pages` from the device, keeps those before `claimed`, and gives `into` its part of them.
io::Task<Result<void>> CacheDevice::fetch(std::uint64_t offset, ByteSpan into, Pages pages, const CacheFill& fill,
                                          std::uint64_t claimed) {
  const std::uint64_t begin = pages.first * kCachePageBytes;
  const std::uint64_t end = std::min(pages.end * kCachePageBytes, geometry().size);
  if (end <= begin) {  // the disk has just shrunk
    for (std::uint64_t page = pages.first; page < claimed; ++page) memory_.end_fill(owner_, page, fill, {});
    co_return fail(EIO);
  }
  const std::uint64_t wanted_begin = std::max(begin, offset);
  const std::uint64_t wanted_end = std::min(end, offset + into.size());
  const ByteSpan wanted =
      wanted_begin < wanted_end ? into.subspan(wanted_begin - offset, wanted_end - wanted_begin) : ByteSpan();

  // Into the reader's memory if it takes whole pages; otherwise, and for pages that nobody has asked for, into ours.
  ByteSpan target = wanted;
  std::optional<io::Buffer> own;
  if (wanted.size() != end - begin || !is_aligned(wanted.data(), memory_alignment())) {
    own = io::Reactor::current().buffers().allocate(end - begin);
    target = own ? own->bytes() : ByteSpan();
  }
  Result<void> result = fail(ENOMEM);
  if (!target.empty()) {
    auto read = co_await inner().read(begin, target);
    result = std::move(read);
  }
  for (std::uint64_t page = pages.first; page < claimed; ++page) {
    const std::size_t at = (page - pages.first) * kCachePageBytes;
    const bool whole = result && at + kCachePageBytes <= target.size();
    memory_.end_fill(owner_, page, fill, whole ? target.subspan(at, kCachePageBytes) : ByteSpan());
  }
  if (result && own && !wanted.empty()) {
    std::memcpy(wanted.data(), target.data() + (wanted_begin - begin), wanted.size());
  }
  co_return result;
}

// --- Reading ahead ---

ReadAhead::Advice CacheDevice::note_read(std::uint64_t offset, std::uint64_t length) {
  if (!read_ahead_.enabled()) return {};
  // Who finds it taken goes on without: a read that is not noted costs less than a wait.
  const std::unique_lock lock(read_ahead_mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return {};
  return read_ahead_.note(offset, length, geometry().size);
}

void CacheDevice::start_read_ahead(ReadAhead::Range range) {
  const Pages pages = pages_of(range.offset, range.length);
  for (std::uint64_t first = pages.first; first < pages.end; first += kFillPages) {
    if (!fetching_ahead_.enter(limits::kReadAheadFills)) return;
    io::spawn(fetch_ahead({first, std::min(first + kFillPages, pages.end)}));
  }
}

io::Task<void> CacheDevice::fetch_ahead(Pages pages) {
  std::uint64_t page = pages.first;
  while (page < pages.end) {
    CacheFill fill{.ahead = true};
    const std::uint64_t claimed = claim({page, pages.end}, fill);
    if (claimed == page) {
      ++page;
      continue;
    }
    // An error is found again by whoever asks for the page.
    [[maybe_unused]] const auto fetched = co_await fetch(0, {}, {page, claimed}, fill, claimed);
    page = claimed;
  }
  fetching_ahead_.leave();
}

// --- Writing ---

io::Task<Result<void>> CacheDevice::write(std::uint64_t offset, ByteView from, WriteFlags flags) {
  if (write_out_ && flags != WriteFlags::kFua) return write_back(offset, from);
  return write_through(offset, from, flags);
}

io::Task<Result<void>> CacheDevice::write_back(std::uint64_t offset, ByteView from) {
  bool stored = false;
  {
    const Pages pages = pages_of(offset, from.size());
    RangeLocks::Hold hold(locks_, pages.first, pages.end, RangeUse::kCached);
    co_await hold;
    stored = store_dirty(offset, from);
  }
  if (stored) {
    write_out_->dirtied();
    co_return Result<void>();
  }
  // Pages of it that were stored become clean by this.
  auto written = co_await write_through(offset, from, WriteFlags::kNone);
  write_out_->dirtied();
  co_return written;
}

bool CacheDevice::store_dirty(std::uint64_t offset, ByteView from) {
  const Pages pages = pages_of(offset, from.size());
  if (pages.end > whole_pages()) return false;
  for (std::uint64_t page = pages.first; page < pages.end; ++page) {
    const Part part = part_of(page, offset, from.size());
    if (!memory_.store_dirty(owner_, page, part.within, from.subspan(part.at, part.size))) return false;
  }
  return true;
}

io::Task<Result<void>> CacheDevice::write_through(std::uint64_t offset, ByteView from, WriteFlags flags) {
  const Pages pages = pages_of(offset, from.size());
  RangeLocks::Hold hold(locks_, pages.first, pages.end, RangeUse::kDevice);
  co_await hold;
  auto written = co_await inner().write(offset, from, flags);
  if (!written) {
    // What the device has now is anybody's guess. Dirty pages hold what was written before, and will be again.
    memory_.drop(owner_, pages.first, pages.end, CacheMemory::Dirty::kKeep);
    co_return written;
  }
  const std::uint64_t end = std::min(pages.end, whole_pages());
  for (std::uint64_t page = pages.first; page < end; ++page) {
    const Part part = part_of(page, offset, from.size());
    memory_.store_clean(owner_, page, part.within, from.subspan(part.at, part.size));
  }
  co_return written;
}

io::Task<Result<void>> CacheDevice::flush() {
  if (!write_out_) return inner().flush();
  return flush_dirty();
}

io::Task<Result<void>> CacheDevice::flush_dirty() {
  auto drained = co_await write_out_->drain();
  // The device is flushed in any case: it may hold what others wrote, and they are told of this error too.
  auto flushed = co_await inner().flush();
  if (!drained) co_return drained;
  co_return flushed;
}

// --- Changes below the cache ---

io::Task<Result<void>> CacheDevice::unmap(std::uint64_t offset, std::uint64_t length) {
  auto work = io::later([this, offset, length] { return inner().unmap(offset, length); });
  return change(offset, length, std::move(work));
}

io::Task<Result<void>> CacheDevice::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  auto work = io::later([this, offset, length, may_unmap] { return inner().write_zeroes(offset, length, may_unmap); });
  return change(offset, length, std::move(work));
}

/// Whoever is around this range may be around another one already, for which somebody waits who is around this one. So
/// that nobody waits for ever, nobody waits for long.
io::Task<Result<void>> CacheDevice::around(std::uint64_t offset, std::uint64_t length, io::Task<Result<void>> work) {
  auto below = inner().around(offset, length, std::move(work));
  const Pages pages = pages_of(offset, length);
  const io::TimePoint deadline = io::Reactor::current().now() + limits::kCopyPassWait;
  std::optional<RangeLocks::Hold> hold;
  for (;;) {
    hold.emplace(locks_, pages.first, pages.end, RangeUse::kDevice);
    if (hold->granted()) break;
    hold.reset();
    if (io::Reactor::current().now() >= deadline) co_return fail(ENOTSUP, "others change these blocks");
    co_await io::sleep(io::Reactor::current(), std::chrono::milliseconds(1));
  }
  co_return co_await change_held(pages, std::move(below));
}

/// Lets `work` change the range on the device. What is dirty there is brought down before, since the work need not
/// overwrite all of it (an unmap may leave blocks as they are).
io::Task<Result<void>> CacheDevice::change(std::uint64_t offset, std::uint64_t length, io::Task<Result<void>> work) {
  const Pages pages = pages_of(offset, length);
  RangeLocks::Hold hold(locks_, pages.first, pages.end, RangeUse::kDevice);
  co_await hold;
  co_return co_await change_held(pages, std::move(work));
}

io::Task<Result<void>> CacheDevice::change_held(Pages pages, io::Task<Result<void>> work) {
  if (write_out_) {
    auto settled = co_await write_out_->settle(pages.first, pages.end);
    if (!settled) co_return settled;
  }
  auto result = co_await std::move(work);
  memory_.drop(owner_, pages.first, pages.end, CacheMemory::Dirty::kDrop);
  co_return result;
}

io::Task<Result<std::vector<Extent>>> CacheDevice::allocation(std::uint64_t offset, std::uint64_t length,
                                                              std::size_t most) {
  if (!write_out_ || owner_.dirty_pages() == 0) return inner().allocation(offset, length, most);
  return allocation_of_settled(offset, length, most);
}

/// What was written is allocated, although the device may not know yet.
io::Task<Result<std::vector<Extent>>> CacheDevice::allocation_of_settled(std::uint64_t offset, std::uint64_t length,
                                                                         std::size_t most) {
  const Pages pages = pages_of(offset, length);
  {
    RangeLocks::Hold hold(locks_, pages.first, pages.end, RangeUse::kDevice);
    co_await hold;
    auto settled = co_await write_out_->settle(pages.first, pages.end);
    if (!settled) co_return std::unexpected(settled.error());
  }
  auto extents = co_await inner().allocation(offset, length, most);
  co_return extents;
}

void CacheDevice::invalidate(std::uint64_t offset, std::uint64_t length) {
  const Pages pages = pages_of(offset, length);
  memory_.drop(owner_, pages.first, pages.end, CacheMemory::Dirty::kDrop);
  inner().invalidate(offset, length);
}

Result<bool> CacheDevice::refresh_size() {
  const std::uint64_t before = geometry().size;
  auto changed = inner().refresh_size();
  const std::uint64_t after = geometry().size;
  // Blocks that are gone must not come back with what they held when the disk grows again.
  if (after < before) memory_.drop(owner_, after / kCachePageBytes, UINT64_MAX, CacheMemory::Dirty::kDrop);
  return changed;
}

// --- The end ---

io::Task<Result<void>> CacheDevice::close() {
  co_await fetching_ahead_.drained();
  Result<void> result;
  if (write_out_) {
    auto drained = co_await write_out_->close();
    auto flushed = co_await inner().flush();
    result = !drained ? std::move(drained) : std::move(flushed);
  }
  const CacheStatistics counted = owner_.statistics();
  const std::string name = identity().spec;
  log::debug(
      "{}: cache: {} hits, {} misses, {} joined, {} evictions; read ahead {}, used {}, wasted {}; written out {}", name,
      counted.hits, counted.misses, counted.joined, counted.evictions, counted.read_ahead, counted.read_ahead_used,
      counted.read_ahead_wasted, counted.written_out);
  if (!result) {
    log::error("{}: {} that were in the cache are lost: {}", name, format_size(counted.dirty_bytes),
               result.error().text());
  }
  auto closed = co_await inner().close();
  if (!result) co_return result;
  co_return closed;
}

}  // namespace peerlane::block
