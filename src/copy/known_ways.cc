#include "copy/known_ways.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/limits.h"
#include "copy/storage.h"

namespace peerlane::copy {
namespace {

/// All that the ways look at. The names are in what they say.
std::string describe(const Storage& end) {
  return fmt::format("{} {} {} {} {} {} {} {} {} {} {}", end.name, static_cast<unsigned>(end.kind), end.device,
                     end.inode, end.disk, end.start, end.file_system, end.block, end.direct_io, end.backing.direct,
                     end.backing.unit);
}

}  // namespace

std::string name_of_pair(const Storage& source, const Storage& destination, pcie::Policy policy) {
  return fmt::format("{}\n{}\n{}", describe(source), describe(destination), static_cast<unsigned>(policy));
}

std::optional<DirectWays> KnownWays::find(const std::string& pair, io::TimePoint now) const {
  const std::scoped_lock lock(mutex_);
  const auto at = std::ranges::find(entries_, pair, &Entry::pair);
  if (at == entries_.end() || now - at->found >= limits::kDirectWaysAge) return std::nullopt;
  return at->ways;
}

void KnownWays::keep(const std::string& pair, const DirectWays& ways, io::TimePoint now) {
  const std::scoped_lock lock(mutex_);
  auto at = std::ranges::find(entries_, pair, &Entry::pair);
  if (at == entries_.end() && entries_.size() == limits::kDirectWaysKept) {
    at = std::ranges::min_element(entries_, {}, &Entry::found);
  }
  if (at == entries_.end()) at = entries_.emplace(at);
  *at = {pair, ways, now};
}

}  // namespace peerlane::copy
