#include "copy/direct_way.h"

#include <utility>

#include "copy/storage.h"

namespace peerlane::copy {
namespace {

void sort_in(DirectWays& ways, Way way, Result<DirectWay> found) {
  if (found) {
    ways.open.push_back(std::move(*found));
  } else {
    ways.refusals.push_back({way, found.error().text()});
  }
}

/// The ways that this machine knows by itself.
DirectWays find_local_ways(const End& source, const End& destination, pcie::Policy policy) {
  const Storage from = storage_of(source);
  const Storage to = storage_of(destination);
  DirectWays ways;
  for (const Storage* const end : {&from, &to}) {
    if (end->kind != Storage::Kind::kNone) continue;
    const std::string reason = end->name + " is no file and no block device of this machine";
    ways.refusals = {{Way::kClone, reason}, {Way::kNvmeCopy, reason}, {Way::kPeerToPeer, reason}};
    return ways;
  }
  const Machine disks = look_at_disks();
  sort_in(ways, Way::kClone, consider_clone(from, to));
  sort_in(ways, Way::kNvmeCopy, consider_nvme_copy(disks, from, to));
  sort_in(ways, Way::kPeerToPeer, consider_peer_to_peer(disks, from, to, policy));
  return ways;
}

}  // namespace

io::Task<DirectWays> find_direct_ways(const End& source, const End& destination, pcie::Policy policy) {
  DirectWays ways = find_local_ways(source, destination, policy);
  auto third_party = co_await consider_third_party(source, destination);
  sort_in(ways, Way::kThirdParty, std::move(third_party));
  co_return ways;
}

}  // namespace peerlane::copy
