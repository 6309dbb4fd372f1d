#include "copy/direct_way.h"

#include <utility>

#include "copy/known_ways.h"
#include "copy/storage.h"
#include "io/reactor.h"

namespace peerlane::copy {
namespace {

void sort_in(DirectWays& ways, Way way, Result<DirectWay> found) {
  if (found) {
    ways.open.push_back(std::move(*found));
  } else {
    ways.refusals.push_back({way, found.error().text()});
  }
}

DirectWays refuse_all(const Storage& end) {
  DirectWays ways;
  const std::string reason = end.name + " is no file and no block device of this machine";
  for (const Way way : {Way::kClone, Way::kServerCopy, Way::kNvmeCopy, Way::kPeerToPeer}) {
    ways.refusals.push_back({way, reason});
  }
  return ways;
}

/// The ways that this machine knows by itself. Blocks.
DirectWays look_for_ways(const Storage& source, const Storage& destination, pcie::Policy policy) {
  DirectWays ways;
  const Machine disks = look_at_disks();
  sort_in(ways, Way::kClone, consider_clone(source, destination));
  sort_in(ways, Way::kServerCopy, consider_server_copy(source, destination));
  sort_in(ways, Way::kNvmeCopy, consider_nvme_copy(disks, source, destination));
  sort_in(ways, Way::kPeerToPeer, consider_peer_to_peer(disks, source, destination, policy));
  return ways;
}

/// There is one machine, whoever asks.
KnownWays& known_ways() {
  static KnownWays known;
  return known;
}

/// The same, remembered or looked for while the reactor does other things.
io::Task<DirectWays> find_local_ways(const End& source, const End& destination, pcie::Policy policy) {
  const Storage from = storage_of(source);
  const Storage to = storage_of(destination);
  if (from.kind == Storage::Kind::kNone) co_return refuse_all(from);
  if (to.kind == Storage::Kind::kNone) co_return refuse_all(to);
  const std::string pair = name_of_pair(from, to, policy);
  io::Reactor& reactor = io::Reactor::current();
  auto known = known_ways().find(pair, reactor.now());
  if (known) co_return std::move(*known);
  DirectWays found;
  co_await reactor.background().run(reactor, [&] {
    found = look_for_ways(from, to, policy);
    return 0;
  });
  known_ways().keep(pair, found, reactor.now());
  co_return found;
}

}  // namespace

io::Task<DirectWays> find_direct_ways(const End& source, const End& destination, pcie::Policy policy) {
  DirectWays ways = co_await find_local_ways(source, destination, policy);
  auto third_party = co_await consider_third_party(source, destination);
  sort_in(ways, Way::kThirdParty, std::move(third_party));
  co_return ways;
}

}  // namespace peerlane::copy
