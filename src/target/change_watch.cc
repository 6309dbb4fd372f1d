#include "target/change_watch.h"

#include <algorithm>

namespace peerlane::target {
namespace {

bool overlap(const ByteRange& range, std::uint64_t offset, std::uint64_t length) {
  return offset < range.offset + range.length && range.offset < offset + length;
}

}  // namespace

ChangeWatch::Watched::Watched(ChangeWatch& watch, std::vector<ByteRange> ranges)
    : watch_(watch), ranges_(std::move(ranges)) {
  const std::lock_guard lock(watch_.mutex_);
  watch_.watched_.push_back(this);
  watch_.watching_.store(watch_.watched_.size(), std::memory_order_release);
}

ChangeWatch::Watched::~Watched() {
  const std::lock_guard lock(watch_.mutex_);
  std::erase(watch_.watched_, this);
  watch_.watching_.store(watch_.watched_.size(), std::memory_order_release);
}

void ChangeWatch::tell(std::uint64_t offset, std::uint64_t length) {
  const std::lock_guard lock(mutex_);
  for (Watched* const watched : watched_) {
    const bool hit =
        std::ranges::any_of(watched->ranges_, [&](const ByteRange& range) { return overlap(range, offset, length); });
    if (hit) watched->changed_.store(true, std::memory_order_release);
  }
}

}  // namespace peerlane::target
