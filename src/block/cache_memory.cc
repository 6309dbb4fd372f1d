#include "block/cache_memory.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include <sys/mman.h>

namespace peerlane::block {
namespace {

constexpr std::uint32_t kLeastPerShard = 16;  // pages
constexpr std::uint32_t kDirtyPart = 2;       // dirty pages are at most one part of so many

/// Spreads the bits of a number over the whole of it (the end of SplitMix64).
constexpr std::uint64_t mix(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

}  // namespace

// --- Owners ---

CacheOwner::CacheOwner(CacheMemory& memory)
    : memory_(memory), id_(memory.owners_.fetch_add(1, std::memory_order_relaxed)) {}

CacheOwner::~CacheOwner() {
  memory_.drop_all(this, 0, UINT64_MAX, CacheMemory::Dirty::kDrop);
}

CacheStatistics CacheOwner::statistics() const {
  const auto value = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
  return {.hits = value(hits_),
          .misses = value(misses_),
          .joined = value(joined_),
          .evictions = value(evictions_),
          .read_ahead = value(read_ahead_),
          .read_ahead_used = value(read_ahead_used_),
          .read_ahead_wasted = value(read_ahead_wasted_),
          .written_out = value(written_out_),
          .write_out_errors = value(write_out_errors_),
          .dirty_bytes = value(dirty_pages_) * kCachePageBytes};
}

// --- The memory ---

Result<std::unique_ptr<CacheMemory>> CacheMemory::create(std::uint64_t bytes) {
  bytes = std::max<std::uint64_t>(bytes, std::uint64_t{kShards} * kLeastPerShard * kCachePageBytes);
  const std::uint64_t per_shard = bytes / kCachePageBytes / kShards;
  if (per_shard * kShards >= kNone) return fail(EINVAL, "the cache is larger than it can be");
  const std::uint64_t frames = per_shard * kShards;
  void* const memory =
      mmap(nullptr, frames * kCachePageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return std::unexpected(Error::from_errno(errno, "reserving the memory of the cache"));
  // Less of the processor's address cache is spent on it. A hint: no harm where it is not heard.
  madvise(memory, frames * kCachePageBytes, MADV_HUGEPAGE);
  const ByteSpan span(static_cast<std::uint8_t*>(memory), frames * kCachePageBytes);
  return std::unique_ptr<CacheMemory>(new CacheMemory(span, static_cast<std::uint32_t>(frames)));
}

CacheMemory::CacheMemory(ByteSpan memory, std::uint32_t frames) : memory_(memory), frames_(frames) {
  const std::uint32_t per_shard = frames / kShards;
  for (std::uint32_t number = 0; number < kShards; ++number) {
    shards_.push_back(std::make_unique<Shard>(number * per_shard, per_shard));
    for (std::uint32_t frame = (number + 1) * per_shard; frame-- > number * per_shard;) {
      frames_[frame].chain = shards_.back()->free;
      shards_.back()->free = frame;
    }
  }
}

CacheMemory::Shard::Shard(std::uint32_t first_frame, std::uint32_t count)
    : first(first_frame), most_dirty(count / kDirtyPart), buckets(std::bit_ceil(count), kNone), policy(count) {}

CacheMemory::~CacheMemory() {
  munmap(memory_.data(), memory_.size());
}

std::uint64_t CacheMemory::key_of(const CacheOwner& owner, std::uint64_t page) {
  return mix(page ^ mix(owner.id_ + 1));
}

ByteSpan CacheMemory::bytes_of(std::uint32_t frame) const {
  return memory_.subspan(std::size_t{frame} * kCachePageBytes, kCachePageBytes);
}

// --- Finding pages ---

std::uint32_t& CacheMemory::bucket(Shard& shard, std::uint64_t key) {
  return shard.buckets[key & (shard.buckets.size() - 1)];
}

CacheMemory::Place CacheMemory::find(CacheOwner& owner, std::uint64_t page) {
  const std::uint64_t key = key_of(owner, page);
  // Other bits than those that choose the bucket.
  Shard& shard = *shards_[(key >> 40) % kShards];
  std::unique_lock lock(shard.mutex);
  std::uint32_t frame = bucket(shard, key);
  if (frame != kNone) {
    // Most often it is this one: have what will be needed of it come while its name is compared.
    __builtin_prefetch(bytes_of(frame).data());
    shard.policy.prefetch(frame - shard.first);
  }
  while (frame != kNone && (frames_[frame].page != page || frames_[frame].owner != &owner))
    frame = frames_[frame].chain;
  return {shard, key, std::move(lock), frame};
}

void CacheMemory::hash_in(Shard& shard, std::uint32_t frame, std::uint64_t key) {
  std::uint32_t& head = bucket(shard, key);
  frames_[frame].chain = head;
  head = frame;
}

void CacheMemory::hash_out(Shard& shard, std::uint32_t frame) {
  std::uint32_t* link = &bucket(shard, key_of(*frames_[frame].owner, frames_[frame].page));
  while (*link != frame) link = &frames_[*link].chain;
  *link = frames_[frame].chain;
}

/// A frame for a page that is not there; kNone if none can be had. It is in the hash and in no queue.
std::uint32_t CacheMemory::take_frame(Place& place, CacheOwner& owner, std::uint64_t page) {
  Shard& shard = place.shard;
  if (shard.free == kNone) {
    const auto slot = shard.policy.evict();
    if (!slot) return kNone;
    const std::uint32_t evicted = shard.first + *slot;
    CacheOwner& loser = *frames_[evicted].owner;
    loser.evictions_.fetch_add(1, std::memory_order_relaxed);
    if (frames_[evicted].ahead) loser.read_ahead_wasted_.fetch_add(1, std::memory_order_relaxed);
    free_frame(shard, evicted);
  }
  const std::uint32_t frame = shard.free;
  shard.free = frames_[frame].chain;
  frames_[frame].owner = &owner;
  frames_[frame].page = page;
  frames_[frame].ahead = false;
  hash_in(shard, frame, place.key);
  place.frame = frame;
  return frame;
}

/// Gives back a frame that is in no queue and for which nobody waits.
void CacheMemory::free_frame(Shard& shard, std::uint32_t frame) {
  hash_out(shard, frame);
  frames_[frame].owner = nullptr;
  frames_[frame].writing = false;
  frames_[frame].chain = shard.free;
  shard.free = frame;
}

/// The page is there now, and clean.
void CacheMemory::arrive(Place& place) {
  frames_[place.frame].fill = nullptr;
  place.shard.policy.insert(place.frame - place.shard.first, place.key);
}

// --- Reading ---

CacheMemory::Found CacheMemory::copy_out(CacheOwner& owner, std::uint64_t page, std::uint32_t within, ByteSpan into,
                                         bool again) {
  const Place place = find(owner, page);
  if (place.frame == kNone) return Found::kMissing;
  Frame& frame = frames_[place.frame];
  if (frame.fill != nullptr) return Found::kComing;
  std::memcpy(into.data(), bytes_of(place.frame).data() + within, into.size());
  if (frame.ahead) {
    // The first who asks for it is the one for whom it was read: that is not "again".
    frame.ahead = false;
    owner.read_ahead_used_.fetch_add(1, std::memory_order_relaxed);
  } else if (again) {
    place.shard.policy.touch(place.frame - place.shard.first);
  }
  return Found::kHere;
}

CacheMemory::Claim CacheMemory::begin_fill(CacheOwner& owner, std::uint64_t page, CacheFill& fill) {
  Place place = find(owner, page);
  if (place.frame != kNone) return frames_[place.frame].fill != nullptr ? Claim::kComing : Claim::kHere;
  if (take_frame(place, owner, page) == kNone) return Claim::kNoRoom;
  frames_[place.frame].fill = &fill;
  return Claim::kClaimed;
}

void CacheMemory::end_fill(CacheOwner& owner, std::uint64_t page, const CacheFill& fill, ByteView data) {
  WaiterList woken;
  {
    Place place = find(owner, page);
    // Somebody has changed the page, and woken those who waited.
    if (place.frame == kNone || frames_[place.frame].fill != &fill) return;
    Frame& frame = frames_[place.frame];
    if (data.empty()) {
      forget(place.shard, place.frame, woken);
    } else {
      std::memcpy(bytes_of(place.frame).data(), data.data(), kCachePageBytes);
      // Who waits will ask at once, so it was not read in vain; but until he does, it counts as read ahead.
      frame.ahead = fill.ahead;
      if (fill.ahead) owner.read_ahead_.fetch_add(1, std::memory_order_relaxed);
      woken.append(frame.waiters);
      arrive(place);
    }
  }
  woken.wake_all();
}

bool CacheMemory::join(CacheOwner& owner, std::uint64_t page, Waiter& waiter) {
  const Place place = find(owner, page);
  if (place.frame == kNone || frames_[place.frame].fill == nullptr) return false;
  frames_[place.frame].waiters.add(waiter);
  return true;
}

// --- Changing ---

void CacheMemory::store_clean(CacheOwner& owner, std::uint64_t page, std::uint32_t within, ByteView from) {
  WaiterList woken;
  {
    Place place = find(owner, page);
    const bool whole = from.size() == kCachePageBytes;
    if (place.frame == kNone) {
      if (!whole || take_frame(place, owner, page) == kNone) return;
      arrive(place);
    } else if (frames_[place.frame].fill != nullptr) {
      woken.append(frames_[place.frame].waiters);
      if (!whole) {
        forget(place.shard, place.frame, woken);
        place.frame = kNone;
      } else {
        arrive(place);
      }
    } else if (whole && frames_[place.frame].dirty) {
      mark_clean(place.shard, place.frame);
    }
    if (place.frame != kNone) std::memcpy(bytes_of(place.frame).data() + within, from.data(), from.size());
  }
  woken.wake_all();
}

bool CacheMemory::store_dirty(CacheOwner& owner, std::uint64_t page, std::uint32_t within, ByteView from) {
  WaiterList woken;
  {
    Place place = find(owner, page);
    const bool whole = from.size() == kCachePageBytes;
    const bool here = place.frame != kNone && frames_[place.frame].fill == nullptr;
    if (!here && !whole) return false;
    if (!(here && frames_[place.frame].dirty) && place.shard.dirty >= place.shard.most_dirty) return false;
    if (place.frame == kNone) {
      if (take_frame(place, owner, page) == kNone) return false;
      arrive(place);
    } else if (!here) {
      woken.append(frames_[place.frame].waiters);
      arrive(place);
    }
    std::memcpy(bytes_of(place.frame).data() + within, from.data(), from.size());
    if (!frames_[place.frame].dirty) mark_dirty(place.shard, place.frame);
  }
  woken.wake_all();
  return true;
}

/// The page is not there any more. Those who waited for it look again.
void CacheMemory::forget(Shard& shard, std::uint32_t frame, WaiterList& woken) {
  Frame& gone = frames_[frame];
  woken.append(gone.waiters);
  if (gone.dirty) mark_clean(shard, frame);
  if (gone.fill == nullptr && gone.ahead) gone.owner->read_ahead_wasted_.fetch_add(1, std::memory_order_relaxed);
  gone.fill = nullptr;
  shard.policy.take_out(frame - shard.first);
  free_frame(shard, frame);
}

void CacheMemory::drop(CacheOwner& owner, std::uint64_t first, std::uint64_t end, Dirty dirty) {
  if (end - first > frames_.size()) {
    drop_all(&owner, first, end, dirty);
    return;
  }
  for (std::uint64_t page = first; page < end; ++page) {
    WaiterList woken;
    {
      const Place place = find(owner, page);
      if (place.frame == kNone || (frames_[place.frame].dirty && dirty == Dirty::kKeep)) continue;
      forget(place.shard, place.frame, woken);
    }
    woken.wake_all();
  }
}

/// The same by a look at every frame, which is shorter where there are more pages than frames.
void CacheMemory::drop_all(CacheOwner* owner, std::uint64_t first, std::uint64_t end, Dirty dirty) {
  constexpr std::uint32_t kAtOnce = 256;  // frames under one lock
  for (const auto& shard : shards_) {
    const auto last = shard->first + static_cast<std::uint32_t>(frames_.size() / kShards);
    for (std::uint32_t begin = shard->first; begin < last; begin += kAtOnce) {
      WaiterList woken;
      {
        const std::lock_guard lock(shard->mutex);
        for (std::uint32_t index = begin; index < std::min(begin + kAtOnce, last); ++index) {
          const Frame& frame = frames_[index];
          if (frame.owner != owner || frame.page < first || frame.page >= end) continue;
          if (frame.dirty && dirty == Dirty::kKeep) continue;
          forget(*shard, index, woken);
        }
      }
      woken.wake_all();
    }
  }
}

// --- Dirty pages ---

void CacheMemory::mark_dirty(Shard& shard, std::uint32_t index) {
  Frame& frame = frames_[index];
  CacheOwner& owner = *frame.owner;
  frame.dirty = true;
  ++shard.dirty;
  shard.policy.take_out(index - shard.first);
  const std::lock_guard lock(owner.dirty_mutex_);
  frame.dirty_sequence = ++owner.sequence_;
  frame.newer_dirty = kNone;
  frame.older_dirty = owner.newest_dirty_;
  (owner.newest_dirty_ != kNone ? frames_[owner.newest_dirty_].newer_dirty : owner.oldest_dirty_) = index;
  owner.newest_dirty_ = index;
  owner.dirty_pages_.fetch_add(1);
}

/// The device has, or will never have, what is in the page.
void CacheMemory::mark_clean(Shard& shard, std::uint32_t index) {
  Frame& frame = frames_[index];
  CacheOwner& owner = *frame.owner;
  frame.dirty = false;
  --shard.dirty;
  if (!frame.writing) shard.policy.put_back(index - shard.first);
  const std::lock_guard lock(owner.dirty_mutex_);
  (frame.newer_dirty != kNone ? frames_[frame.newer_dirty].older_dirty : owner.newest_dirty_) = frame.older_dirty;
  (frame.older_dirty != kNone ? frames_[frame.older_dirty].newer_dirty : owner.oldest_dirty_) = frame.newer_dirty;
  owner.dirty_pages_.fetch_sub(1);
}

std::optional<CacheMemory::OldestDirty> CacheMemory::oldest_dirty(const CacheOwner& owner) const {
  const std::lock_guard lock(owner.dirty_mutex_);
  if (owner.oldest_dirty_ == kNone) return std::nullopt;
  // The page of a frame does not change while it is linked here.
  const Frame& frame = frames_[owner.oldest_dirty_];
  return OldestDirty{frame.page, frame.dirty_sequence};
}

std::uint64_t CacheMemory::sequence(const CacheOwner& owner) const {
  const std::lock_guard lock(owner.dirty_mutex_);
  return owner.sequence_;
}

bool CacheMemory::is_dirty(CacheOwner& owner, std::uint64_t page) {
  const Place place = find(owner, page);
  return place.frame != kNone && frames_[place.frame].dirty;
}

std::optional<std::uint64_t> CacheMemory::find_dirty(CacheOwner& owner, std::uint64_t first, std::uint64_t end) {
  if (end - first <= owner.dirty_pages()) {
    for (std::uint64_t page = first; page < end; ++page) {
      if (is_dirty(owner, page)) return page;
    }
    return std::nullopt;
  }
  const std::lock_guard lock(owner.dirty_mutex_);
  for (std::uint32_t frame = owner.oldest_dirty_; frame != kNone; frame = frames_[frame].newer_dirty) {
    if (frames_[frame].page >= first && frames_[frame].page < end) return frames_[frame].page;
  }
  return std::nullopt;
}

bool CacheMemory::begin_write_out(CacheOwner& owner, std::uint64_t page, ByteSpan into) {
  const Place place = find(owner, page);
  if (place.frame == kNone || !frames_[place.frame].dirty) return false;
  std::memcpy(into.data(), bytes_of(place.frame).data(), kCachePageBytes);
  frames_[place.frame].writing = true;
  mark_clean(place.shard, place.frame);
  return true;
}

void CacheMemory::end_write_out(CacheOwner& owner, std::uint64_t page, bool reached_device) {
  (reached_device ? owner.written_out_ : owner.write_out_errors_).fetch_add(1, std::memory_order_relaxed);
  const Place place = find(owner, page);
  // It may have been dropped meanwhile.
  if (place.frame == kNone || !frames_[place.frame].writing) return;
  Frame& frame = frames_[place.frame];
  frame.writing = false;
  if (frame.dirty) return;  // changed since, and to be written again
  if (reached_device) {
    place.shard.policy.put_back(place.frame - place.shard.first);
  } else {
    mark_dirty(place.shard, place.frame);
  }
}

}  // namespace peerlane::block
