// Which page of a full cache goes: S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023).
//
// A new page enters a small queue, a tenth of the cache. What is not read again before it reaches the end of that goes,
// and only its name is remembered; what is read again moves to the main queue, and so does a page that comes back while
// its name is remembered. The main queue gives pages that were read since they entered another round. So a scan,
// however long, passes through the small queue and leaves the main one alone. bench/README.md compares it with LRU and
// FIFO.
//
// A page is a slot number here: the cache keeps what is in it. Not thread-safe, allocates nothing after construction.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace peerlane::block {

/// The names of the pages that went last: about as many as it was made for. A name is a hash; that two pages share one
/// does no harm but that one of them is taken for known.
class GhostList {
 public:
  explicit GhostList(std::uint32_t capacity);

  void remember(std::uint64_t key);
  /// Whether `key` is remembered; it is forgotten then.
  bool recall(std::uint64_t key);

 private:
  static constexpr std::uint32_t kWays = 4;
  struct Name {
    std::uint32_t tag = 0;
    std::uint32_t number = 0;  // how many were remembered up to this one; 0: none
  };

  Name* set_of(std::uint64_t key) { return &names_[(key & set_mask_) * kWays]; }
  bool is_current(const Name& name) const { return name.number != 0 && count_ - name.number < capacity_; }

  const std::uint32_t capacity_;
  std::uint64_t set_mask_;
  std::vector<Name> names_;
  std::uint32_t count_ = 0;
};

class CachePolicy {
 public:
  /// For the slots [0, slots).
  explicit CachePolicy(std::uint32_t slots);

  /// `slot`, which is in no queue, has the page `key` (a hash of its name) from now on.
  void insert(std::uint32_t slot, std::uint64_t key);
  /// The page of `slot` was read again.
  void touch(std::uint32_t slot);
  /// Takes `slot` out of its queue: it is not to go. It either comes back with put_back(), to the queue it was in, or
  /// is empty now and comes back with insert().
  void take_out(std::uint32_t slot);
  void put_back(std::uint32_t slot);
  /// A hint that `slot` will be touched soon.
  void prefetch(std::uint32_t slot) const { __builtin_prefetch(&nodes_[slot], 1); }
  bool is_queued(std::uint32_t slot) const { return nodes_[slot].queued; }

  /// Chooses the slot to be emptied and takes it out; nothing if no slot is in a queue.
  std::optional<std::uint32_t> evict();

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  static constexpr std::uint8_t kMostReads = 3;    // counted reads of a page
  static constexpr std::uint8_t kReadsToMain = 1;  // reads in the small queue that lead to the main one
  static constexpr std::uint32_t kSmallPart = 10;  // the small queue is one part of so many

  struct Node {
    std::uint64_t key = 0;
    std::uint32_t newer = kNone;
    std::uint32_t older = kNone;
    std::uint8_t reads = 0;  // since it entered its queue
    bool in_main = false;    // its queue
    bool queued = false;
  };
  struct Queue {
    std::uint32_t newest = kNone;
    std::uint32_t oldest = kNone;
    std::uint32_t size = 0;
  };

  Queue& queue_of(const Node& node) { return node.in_main ? main_ : small_; }
  void push(std::uint32_t slot);
  void unlink(std::uint32_t slot);

  std::vector<Node> nodes_;
  const std::uint32_t small_target_;
  Queue small_;
  Queue main_;
  GhostList ghosts_;
};

}  // namespace peerlane::block
