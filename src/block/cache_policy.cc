#include "block/cache_policy.h"

#include <algorithm>
#include <bit>
#include <cassert>

namespace peerlane::block {

// --- Names of pages that went ---

GhostList::GhostList(std::uint32_t capacity)
    // Twice the room that is needed, so that a set is seldom too small for what is current in it.
    : capacity_(std::max(capacity, 1u)),
      set_mask_(std::bit_ceil(std::max<std::uint64_t>(2 * std::uint64_t{capacity} / kWays, 1)) - 1),
      names_((set_mask_ + 1) * kWays) {}

void GhostList::remember(std::uint64_t key) {
  Name* const set = set_of(key);
  ++count_;
  // By age and not by number, which starts again some day.
  const auto age = [this](const Name& name) { return name.number == 0 ? UINT32_MAX : count_ - name.number; };
  Name* const oldest =
      std::max_element(set, set + kWays, [&](const Name& a, const Name& b) { return age(a) < age(b); });
  *oldest = {static_cast<std::uint32_t>(key >> 32), count_};
}

bool GhostList::recall(std::uint64_t key) {
  Name* const set = set_of(key);
  const auto tag = static_cast<std::uint32_t>(key >> 32);
  Name* const found =
      std::find_if(set, set + kWays, [&](const Name& name) { return name.tag == tag && is_current(name); });
  if (found == set + kWays) return false;
  found->number = 0;
  return true;
}

// --- Queues ---

CachePolicy::CachePolicy(std::uint32_t slots)
    : nodes_(slots), small_target_(std::max(slots / kSmallPart, 1u)), ghosts_(slots - slots / kSmallPart) {}

void CachePolicy::push(std::uint32_t slot) {
  Node& node = nodes_[slot];
  Queue& queue = queue_of(node);
  node.queued = true;
  node.newer = kNone;
  node.older = queue.newest;
  (queue.newest != kNone ? nodes_[queue.newest].newer : queue.oldest) = slot;
  queue.newest = slot;
  ++queue.size;
}

void CachePolicy::unlink(std::uint32_t slot) {
  Node& node = nodes_[slot];
  Queue& queue = queue_of(node);
  (node.newer != kNone ? nodes_[node.newer].older : queue.newest) = node.older;
  (node.older != kNone ? nodes_[node.older].newer : queue.oldest) = node.newer;
  node.queued = false;
  --queue.size;
}

void CachePolicy::insert(std::uint32_t slot, std::uint64_t key) {
  Node& node = nodes_[slot];
  assert(!node.queued);
  node.key = key;
  node.reads = 0;
  node.in_main = ghosts_.recall(key);
  push(slot);
}

void CachePolicy::touch(std::uint32_t slot) {
  Node& node = nodes_[slot];
  if (node.reads < kMostReads) ++node.reads;
}

void CachePolicy::take_out(std::uint32_t slot) {
  if (nodes_[slot].queued) unlink(slot);
}

void CachePolicy::put_back(std::uint32_t slot) {
  assert(!nodes_[slot].queued);
  push(slot);
}

std::optional<std::uint32_t> CachePolicy::evict() {
  // Ends, since each round either finds one or lowers the reads that are counted.
  for (;;) {
    const bool from_small = small_.size != 0 && (small_.size >= small_target_ || main_.size == 0);
    const std::uint32_t slot = from_small ? small_.oldest : main_.oldest;
    if (slot == kNone) return std::nullopt;
    Node& node = nodes_[slot];
    unlink(slot);
    if (from_small && node.reads >= kReadsToMain) {
      node.in_main = true;
      node.reads = 0;
      push(slot);
    } else if (!from_small && node.reads != 0) {
      --node.reads;
      push(slot);
    } else {
      if (from_small) ghosts_.remember(node.key);
      return slot;
    }
  }
}

}  // namespace peerlane::block
