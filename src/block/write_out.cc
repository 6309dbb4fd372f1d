#include "block/write_out.h"

#include <algorithm>
#include <cassert>
#include <new>

#include "base/limits.h"
#include "base/log.h"
#include "io/reactor.h"

namespace peerlane::block {
namespace {

constexpr std::uint64_t kBatchPages = limits::kWriteOutBytes / kCachePageBytes;
constexpr std::uint64_t kManyPart = 8;  // one part of so many of the memory dirty is much

}  // namespace

/// What goes to the device is a copy, so that a page can change in memory meanwhile without a torn block on the disk.
class WriteOut::Pages {
 public:
  Pages() : bytes_(static_cast<std::uint8_t*>(::operator new(limits::kWriteOutBytes, kAlignment))) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { ::operator delete(bytes_, kAlignment); }
  ByteSpan span() const { return {bytes_, limits::kWriteOutBytes}; }

 private:
  static constexpr std::align_val_t kAlignment{4096};
  std::uint8_t* const bytes_;
};

WriteOut::WriteOut(CacheMemory& memory, CacheOwner& owner, Device& device, RangeLocks& locks)
    : memory_(memory),
      owner_(owner),
      device_(device),
      locks_(locks),
      many_(memory.bytes() / kCachePageBytes / kManyPart) {}

// --- In the background ---

void WriteOut::dirtied() {
  if (!aging_.load() && !aging_.exchange(true)) {
    background_.enter();
    io::spawn(write_when_old());
  }
  if (owner_.dirty_pages() < many_ || failing_.load(std::memory_order_relaxed)) return;
  if (!relieving_.load() && !relieving_.exchange(true)) {
    background_.enter();
    io::spawn(relieve());
  }
}

/// Makes room as long as too much is dirty.
io::Task<void> WriteOut::relieve() {
  while (owner_.dirty_pages() >= many_ / 2 && !failing_.load(std::memory_order_relaxed) && !closing()) {
    co_await write_all(memory_.sequence(owner_));
  }
  relieving_.store(false);
  background_.leave();
}

/// Writes each page that has been dirty for limits::kWriteOutAge, until none is dirty.
io::Task<void> WriteOut::write_when_old() {
  do {
    while (owner_.dirty_pages() != 0 && !closing()) {
      const std::uint64_t old = memory_.sequence(owner_);
      co_await nap();
      if (!closing()) co_await write_all(old);
    }
    aging_.store(false);
    // What became dirty between the last look and this has not started another task.
  } while (owner_.dirty_pages() != 0 && !closing() && !aging_.exchange(true));
  background_.leave();
}

/// Waits for limits::kWriteOutAge, or until close().
io::Task<void> WriteOut::nap() {
  io::Reactor& home = io::Reactor::current();
  const auto over = std::make_shared<io::Event>();
  io::Timer timer(home, [over] { over->set(); });
  {
    const std::lock_guard lock(mutex_);
    if (closing_) co_return;
    napping_ = {&home, over};
  }
  timer.arm_after(limits::kWriteOutAge);
  co_await *over;
  const std::lock_guard lock(mutex_);
  napping_ = {};
}

bool WriteOut::closing() {
  const std::lock_guard lock(mutex_);
  return closing_;
}

// --- Writing ---

/// Writes the pages that became dirty up to this place in the order, several runs of them at once.
io::Task<void> WriteOut::write_all(std::uint64_t up_to) {
  io::Gate gate;
  const std::uint64_t runs = owner_.dirty_pages() / kBatchPages + 1;
  for (std::uint64_t others = std::min<std::uint64_t>(runs, limits::kWriteOutDepth); others > 1; --others) {
    io::spawn(write_in_turn(up_to, gate));
  }
  co_await write_in_turn(up_to, gate);
  co_await gate.drained();
}

/// What fails becomes dirty anew, behind all others, so that each page is tried once.
io::Task<void> WriteOut::write_in_turn(std::uint64_t up_to, io::Gate& gate) {
  const io::Gate::Pass pass(gate);
  const Pages copy;
  for (;;) {
    const auto oldest = memory_.oldest_dirty(owner_);
    if (!oldest || oldest->sequence > up_to) co_return;
    co_await write_around(oldest->page, copy.span());
  }
}

/// Writes a dirty page with its dirty neighbours.
io::Task<void> WriteOut::write_around(std::uint64_t page, ByteSpan copy) {
  std::uint64_t first = page;
  std::uint64_t end = page + 1;
  while (end - first < kBatchPages && memory_.is_dirty(owner_, end)) ++end;
  while (end - first < kBatchPages && first != 0 && memory_.is_dirty(owner_, first - 1)) --first;
  RangeLocks::Hold hold(locks_, first, end, RangeUse::kWriteOut);
  co_await hold;
  // How it went is noted where those look whom it concerns.
  [[maybe_unused]] const auto written = co_await write_held(first, end, copy);
}

/// Writes the first run of dirty pages in [first, end), which is held. There may be none any more.
io::Task<Result<void>> WriteOut::write_held(std::uint64_t first, std::uint64_t end, ByteSpan copy) {
  // From before the pages are taken, so that at no time they are neither dirty nor under way.
  Batch batch;
  begin(batch);
  std::size_t size = 0;
  std::uint64_t at = first;
  for (; at < end && size < copy.size(); ++at) {
    if (memory_.begin_write_out(owner_, at, copy.subspan(size, kCachePageBytes))) {
      size += kCachePageBytes;
    } else if (size != 0) {
      break;
    } else {
      first = at + 1;
    }
  }
  Result<void> result;
  if (size != 0) {
    auto written = co_await device_.write(first * kCachePageBytes, copy.first(size), WriteFlags::kNone);
    result = std::move(written);
    for (std::uint64_t page = first; page < at; ++page) memory_.end_write_out(owner_, page, result.has_value());
    note_outcome(result);
  }
  this->end(batch, result);
  // Nobody may be waiting any more for pages to grow old.
  if (!result && !closing()) dirtied();
  co_return result;
}

void WriteOut::begin(Batch& batch) {
  const std::lock_guard lock(mutex_);
  batch.number = ++batches_;
  batch.previous = newest_;
  (newest_ != nullptr ? newest_->next : oldest_) = &batch;
  newest_ = &batch;
}

void WriteOut::end(Batch& batch, const Result<void>& result) {
  WaiterList waiters;
  {
    const std::lock_guard lock(mutex_);
    (batch.previous != nullptr ? batch.previous->next : oldest_) = batch.next;
    (batch.next != nullptr ? batch.next->previous : newest_) = batch.previous;
    if (!result) {
      ++failures_;
      last_failure_ = result.error();
    }
    waiters.append(waiters_);
  }
  waiters.wake_all();
}

/// One line in the log when writing begins to fail, and one when it works again.
void WriteOut::note_outcome(const Result<void>& result) {
  if (failing_.load(std::memory_order_relaxed) == !result || failing_.exchange(!result) == !result) return;
  if (result) {
    log::info("{}: writing from the cache works again", device_.identity().spec);
  } else {
    log::error("{}: writing from the cache failed ({}); the data stay in memory and are tried again",
               device_.identity().spec, result.error().text());
  }
}

/// Waits for all batches that are under way now.
io::Task<void> WriteOut::batches_ended() {
  std::uint64_t last = 0;
  {
    const std::lock_guard lock(mutex_);
    last = batches_;
  }
  bool ended = false;
  while (!ended) {
    const auto look = [&] { return ended = oldest_ == nullptr || oldest_->number > last; };
    Change change(mutex_, waiters_, look);
    co_await change;
  }
}

// --- On request ---

io::Task<Result<void>> WriteOut::drain() {
  std::uint64_t failures = 0;
  {
    const std::lock_guard lock(mutex_);
    failures = failures_;
  }
  co_await write_all(memory_.sequence(owner_));
  // Somebody else may have taken pages that were dirty when this began. If his write failed, they are dirty again, and
  // that counts as ours.
  co_await batches_ended();
  const std::lock_guard lock(mutex_);
  if (failures_ != failures) co_return std::unexpected(last_failure_);
  co_return Result<void>();
}

io::Task<Result<void>> WriteOut::settle(std::uint64_t first, std::uint64_t end) {
  if (owner_.dirty_pages() == 0) co_return Result<void>();
  const Pages copy;
  for (;;) {
    // Any of them, not the first: each round looks at the whole range.
    const auto page = memory_.find_dirty(owner_, first, end);
    if (!page) co_return Result<void>();
    auto written = co_await write_held(*page, std::min(end, *page + kBatchPages), copy.span());
    if (!written) co_return written;
  }
}

io::Task<Result<void>> WriteOut::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    if (napping_.home != nullptr) napping_.home->post([over = napping_.over] { over->set(); });
  }
  co_await background_.drained();
  auto drained = co_await drain();
  co_return drained;
}

}  // namespace peerlane::block
