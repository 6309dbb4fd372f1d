// The memory of the cache, shared by all disks that have one: pages of 4096 bytes, who owns each, and what state it is
// in. Bounded: it never takes more than it was made with. block/cache_device.h decides what is read and written; here
// are the steps on one page, each of which is atomic.
//
// A page is the device's own unit of memory and of what file systems ask for. Smaller ones would double the bookkeeping
// (about 100 bytes each), larger ones would keep data that nobody asked for.
//
// A page that is there is either clean (it has what the device has) or dirty (what is newer than on the device). A page
// can be announced, too: somebody is fetching it from the device (`begin_fill`), and others may wait for that. Who
// changes a page cancels such a fetch, because what it brings may be older.
//
// Thread-safe. Pages are spread over shards, each with a lock that is held for one step: at most while one page is
// copied. Nothing is allocated.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "block/cache_policy.h"
#include "block/statistics.h"
#include "block/waiter.h"

namespace peerlane::block {

inline constexpr std::uint32_t kCachePageBytes = 4096;

class CacheMemory;

/// A disk's part in the memory: the names of its pages, its dirty ones, its counters. Gives its pages back when it
/// goes.
class CacheOwner {
 public:
  explicit CacheOwner(CacheMemory& memory);
  ~CacheOwner();
  CacheOwner(const CacheOwner&) = delete;
  CacheOwner& operator=(const CacheOwner&) = delete;

  std::uint64_t dirty_pages() const { return dirty_pages_.load(); }
  CacheStatistics statistics() const;

  // Counters of what the disk itself sees, in pages
  void count_hits(std::uint64_t pages) { hits_.fetch_add(pages, std::memory_order_relaxed); }
  void count_misses(std::uint64_t pages) { misses_.fetch_add(pages, std::memory_order_relaxed); }
  void count_joined() { joined_.fetch_add(1, std::memory_order_relaxed); }

 private:
  friend class CacheMemory;
  using Counter = std::atomic<std::uint64_t>;
  static constexpr std::uint32_t kNone = UINT32_MAX;

  CacheMemory& memory_;
  const std::uint64_t id_;  // distinguishes the owners of a memory

  // The dirty pages, the oldest first, linked through their frames. A shard's lock comes before this one.
  mutable std::mutex dirty_mutex_;
  std::uint32_t oldest_dirty_ = kNone;
  std::uint32_t newest_dirty_ = kNone;
  std::uint64_t sequence_ = 0;  // of what became dirty last
  Counter dirty_pages_{0};

  Counter hits_{0}, misses_{0}, joined_{0}, evictions_{0};
  Counter read_ahead_{0}, read_ahead_used_{0}, read_ahead_wasted_{0};
  Counter written_out_{0}, write_out_errors_{0};
};

/// A fetch of pages from the device, as long as it lasts: its address is its name.
struct CacheFill {
  bool ahead = false;  // nobody has asked for the pages yet
};

class CacheMemory {
 public:
  /// Memory for `bytes` of pages, at least 1 MiB; the system gives it as it is used. Errors: ENOMEM.
  static Result<std::unique_ptr<CacheMemory>> create(std::uint64_t bytes);
  ~CacheMemory();
  CacheMemory(const CacheMemory&) = delete;
  CacheMemory& operator=(const CacheMemory&) = delete;

  std::uint64_t bytes() const { return frames_.size() * std::uint64_t{kCachePageBytes}; }

  // --- Reading ---

  enum class Found : unsigned char { kHere, kComing, kMissing };
  /// Copies a part of a page, from `within` on, if the page is here; kComing: somebody is fetching it. `again`: a read
  /// like this counts for what is kept longer.
  Found copy_out(CacheOwner& owner, std::uint64_t page, std::uint32_t within, ByteSpan into, bool again);

  enum class Claim : unsigned char { kClaimed, kHere, kComing, kNoRoom };
  /// Announces that `fill` fetches a page that is not here.
  Claim begin_fill(CacheOwner& owner, std::uint64_t page, CacheFill& fill);
  /// The end of that: `data` is a whole page, or empty if the fetch failed. Keeps it, unless the page was changed in
  /// the meantime; wakes those who wait for it. To be called for each page that was claimed.
  void end_fill(CacheOwner& owner, std::uint64_t page, const CacheFill& fill, ByteView data);

  /// Awaited: until nobody fetches the page any more.
  auto fetched(CacheOwner& owner, std::uint64_t page) {
    struct Awaiter {
      CacheMemory& memory;
      CacheOwner& owner;
      std::uint64_t page;
      Waiter waiter;
      bool await_ready() const noexcept { return false; }
      bool await_suspend(std::coroutine_handle<> waiting) {
        waiter.wait_here(waiting);
        return memory.join(owner, page, waiter);
      }
      void await_resume() const noexcept {}
    };
    return Awaiter{*this, owner, page, {}};
  }

  // --- Changing ---

  /// The device has `from` in this part of the page now. A whole page is kept, and clean; a part of one is only put in
  /// where the page is here.
  void store_clean(CacheOwner& owner, std::uint64_t page, std::uint32_t within, ByteView from);
  /// Keeps `from` as the newest data of this part of the page, which is dirty now. False, and nothing is changed: there
  /// is no room, too much is dirty, or the rest of the page is not here.
  bool store_dirty(CacheOwner& owner, std::uint64_t page, std::uint32_t within, ByteView from);

  enum class Dirty : unsigned char { kKeep, kDrop };
  /// Forgets the pages [first, end): what the device has is not known here any more. Dirty ones stay or go, too.
  void drop(CacheOwner& owner, std::uint64_t first, std::uint64_t end, Dirty dirty);

  // --- Writing out ---

  struct OldestDirty {
    std::uint64_t page;
    std::uint64_t sequence;
  };
  /// The page that has been dirty for the longest time, and its place in the order in which pages became dirty.
  std::optional<OldestDirty> oldest_dirty(const CacheOwner& owner) const;
  /// Pages that become dirty later have higher sequences than this.
  std::uint64_t sequence(const CacheOwner& owner) const;
  bool is_dirty(CacheOwner& owner, std::uint64_t page);
  /// A dirty one of the pages [first, end).
  std::optional<std::uint64_t> find_dirty(CacheOwner& owner, std::uint64_t first, std::uint64_t end);
  /// Copies a dirty page that is to be written to the device: it is not dirty any more, but stays. False: it was not.
  bool begin_write_out(CacheOwner& owner, std::uint64_t page, ByteSpan into);
  /// The end of that. A page that did not reach the device is dirty again.
  void end_write_out(CacheOwner& owner, std::uint64_t page, bool reached_device);

 private:
  friend class CacheOwner;
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::uint32_t kShards = 16;

  /// What is known of one page of memory: one cache line. Guarded by its shard's lock; the links of dirty ones by the
  /// owner's.
  struct alignas(64) Frame {
    CacheOwner* owner = nullptr;
    std::uint64_t page = 0;
    const CacheFill* fill = nullptr;  // who fetches it; null: it is here
    WaiterList waiters;               // for that
    std::uint32_t chain = kNone;      // the next with the same hash, or the next free one
    bool dirty = false;
    bool writing = false;  // a copy of it is on its way to the device
    bool ahead = false;    // read ahead, and nobody has asked yet
    std::uint32_t newer_dirty = kNone;
    std::uint32_t older_dirty = kNone;
    std::uint64_t dirty_sequence = 0;
  };
  struct alignas(64) Shard {
    Shard(std::uint32_t first, std::uint32_t count);
    std::mutex mutex;
    const std::uint32_t first;           // its first frame
    const std::uint32_t most_dirty;      // frames
    std::uint32_t dirty = 0;             // frames
    std::uint32_t free = kNone;          // a chain
    std::vector<std::uint32_t> buckets;  // frames by hash, each the head of a chain
    CachePolicy policy;                  // of frames, counted from `first`
  };
  /// A page's shard, locked, and its place there.
  struct Place {
    Shard& shard;
    std::uint64_t key;
    std::unique_lock<std::mutex> lock;
    std::uint32_t frame;  // kNone: not there
  };

  CacheMemory(ByteSpan memory, std::uint32_t frames);

  static std::uint64_t key_of(const CacheOwner& owner, std::uint64_t page);
  Place find(CacheOwner& owner, std::uint64_t page);
  bool join(CacheOwner& owner, std::uint64_t page, Waiter& waiter);
  ByteSpan bytes_of(std::uint32_t frame) const;

  static std::uint32_t& bucket(Shard& shard, std::uint64_t key);
  void hash_in(Shard& shard, std::uint32_t frame, std::uint64_t key);
  void hash_out(Shard& shard, std::uint32_t frame);
  std::uint32_t take_frame(Place& place, CacheOwner& owner, std::uint64_t page);
  void free_frame(Shard& shard, std::uint32_t frame);
  void arrive(Place& place);
  void forget(Shard& shard, std::uint32_t frame, WaiterList& woken);
  void mark_dirty(Shard& shard, std::uint32_t frame);
  void mark_clean(Shard& shard, std::uint32_t frame);
  void drop_all(CacheOwner* owner, std::uint64_t first, std::uint64_t end, Dirty dirty);

  const ByteSpan memory_;
  std::vector<Frame> frames_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<std::uint64_t> owners_{0};
};

}  // namespace peerlane::block
