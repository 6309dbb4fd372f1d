#include "peers/peers.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/limits.h"
#include "initiator/credentials.h"
#include "initiator/token_disk.h"
#include "scsi/lun.h"

namespace peerlane::peers {
namespace {

/// What a descriptor looks for at a peer. Errors: ENOTSUP, ENODEV.
Result<Wanted> wanted_by(const scsi::Cscd& cscd) {
  if (const auto* const designator = std::get_if<scsi::Designator>(&cscd.unit)) return Wanted(*designator);
  if (const auto* const remote = std::get_if<scsi::RemoteDesignator>(&cscd.unit)) return Wanted(remote->designator);
  if (const auto* const remote = std::get_if<scsi::RemoteLun>(&cscd.unit)) {
    const auto lun = scsi::decode_lun(remote->lun);
    if (!lun) return fail(ENODEV, "the descriptor's LUN is none of a single level");
    return Wanted(std::uint32_t{lun->value});
  }
  return fail(ENOTSUP, "the descriptor names no logical unit");
}

/// Where it says that the unit is; null: it does not.
const scsi::IpEndpoint* place_in(const scsi::Cscd& cscd) {
  if (const auto* const remote = std::get_if<scsi::RemoteDesignator>(&cscd.unit)) return &remote->service;
  if (const auto* const remote = std::get_if<scsi::RemoteLun>(&cscd.unit)) return &remote->target;
  return nullptr;
}

}  // namespace

/// A question to several peers at the same time. The first unit that is found ends it; the others' answers are dropped.
struct Peers::Search {
  std::size_t open = 0;  // that have not answered yet
  bool late = false;
  std::optional<Peer::Found> found;
  Error error{ENOENT, "no peer has a unit of this name"};
  io::Event changed;
};

Result<std::unique_ptr<Peers>> Peers::create(io::Reactor& home, const std::vector<target::PeerDeclaration>& declared,
                                             io::Duration idle, LocalDisks::Open open_local) {
  std::unique_ptr<Peers> peers(new Peers(home, std::move(open_local)));
  for (target::PeerDeclaration declaration : declared) {
    if (declaration.initiator_name.empty()) {
      auto name = initiator::initiator_name(initiator::process_environment);
      if (!name) return std::unexpected(std::move(name.error()));
      declaration.initiator_name = std::move(*name);
    }
    peers->peers_.push_back(std::make_unique<Peer>(home, std::move(declaration), peers->local_disks_, idle));
  }
  return peers;
}

io::Task<Result<target::PeerUnit>> Peers::find(scsi::Cscd cscd, target::PeerAsker asker) {
  Result<target::PeerUnit> found = fail(ENOENT);
  std::function<io::Task<void>()> there = [this, &cscd, &asker, &found] { return find_here(cscd, asker, found); };
  auto running = io::run_on(io::Reactor::current(), home_, std::move(there));
  co_await std::move(running);
  co_return found;
}

/// Those that whoever asks may use, and at the place that the descriptor names.
Result<std::vector<Peer*>> Peers::peers_for(const scsi::Cscd& cscd, const target::PeerAsker& asker) const {
  const scsi::IpEndpoint* const place = place_in(cscd);
  std::vector<Peer*> peers;
  for (const auto& peer : peers_) {
    if (peer->admits(asker) && (place == nullptr || peer->is_at(*place))) peers.push_back(peer.get());
  }
  if (peers.empty()) {
    return fail(ENOENT, place != nullptr ? "no peer is listed at this address for who asks"
                                         : "no unit here has this name, and no peer is listed for who asks");
  }
  if (std::holds_alternative<scsi::RemoteLun>(cscd.unit) && peers.size() > 1) {
    return fail(ENOENT, "several peers are listed at this address, and a LUN alone does not tell which one is meant");
  }
  return peers;
}

io::Task<Result<target::PeerUnit>> Peers::find_token(scsi::RodTokenBytes token, target::PeerAsker asker) {
  Result<target::PeerUnit> found = fail(ENOENT);
  std::function<io::Task<void>()> there = [this, &token, &asker, &found] {
    return find_token_here(token, asker, found);
  };
  auto running = io::run_on(io::Reactor::current(), home_, std::move(there));
  co_await std::move(running);
  co_return found;
}

io::Task<void> Peers::find_here(const scsi::Cscd& cscd, const target::PeerAsker& asker,
                                Result<target::PeerUnit>& found) {
  const io::Gate::Pass pass(running_);
  auto unit = co_await find_unit(cscd, asker);
  if (unit) {
    found = target::PeerUnit{std::move(unit->lun), unit->writable, std::move(unit->shared)};
  } else {
    found = std::unexpected(std::move(unit.error()));
  }
}

io::Task<void> Peers::find_token_here(const scsi::RodTokenBytes& token, const target::PeerAsker& asker,
                                      Result<target::PeerUnit>& found) {
  const io::Gate::Pass pass(running_);
  const auto told = scsi::decode_rod_token(token);
  if (!told || !told->creator) {
    found = fail(ENOENT, "the token does not tell whose data it stands for");
    co_return;
  }
  auto unit = co_await find_unit(*told->creator, asker);
  if (!unit) {
    found = std::unexpected(std::move(unit.error()));
    co_return;
  }
  auto opening = initiator::TokenDisk::open(std::move(unit->lun), token);
  auto disk = co_await std::move(opening);
  if (disk) {
    found = target::PeerUnit{std::move(*disk), false};
  } else {
    found = std::unexpected(std::move(disk.error()));
  }
}

io::Task<Result<Peer::Found>> Peers::find_unit(const scsi::Cscd& cscd, const target::PeerAsker& asker) {
  auto wanted = wanted_by(cscd);
  auto peers = peers_for(cscd, asker);
  if (!wanted || !peers) co_return std::unexpected(!wanted ? wanted.error() : peers.error());
  const io::TimePoint until = home_.now() + limits::kPeerFindTimeout;
  // Who has been seen to have it is asked first, and the others only if that was long ago.
  std::vector<Peer*> likely;
  if (const auto* const designator = std::get_if<scsi::Designator>(&*wanted)) {
    std::ranges::copy_if(*peers, std::back_inserter(likely),
                         [&](const Peer* peer) { return peer->knows(*designator); });
  }
  if (!likely.empty()) {
    auto searching = search(likely, *wanted, until);
    auto found = co_await std::move(searching);
    if (found || likely.size() == peers->size()) co_return found;
    std::erase_if(*peers, [&](const Peer* peer) { return std::ranges::find(likely, peer) != likely.end(); });
  }
  auto searching = search(std::move(*peers), std::move(*wanted), until);
  auto found = co_await std::move(searching);
  co_return found;
}

io::Task<Result<Peer::Found>> Peers::search(std::vector<Peer*> peers, Wanted wanted, io::TimePoint until) {
  const auto search = std::make_shared<Search>();
  io::Timer timer(home_, [&search = *search] {
    search.late = true;
    search.changed.wake_all();
  });
  timer.arm_at(until);
  search->open = peers.size();
  for (Peer* const peer : peers) io::spawn(ask(*peer, wanted, search));
  while (!search->found && search->open != 0 && !search->late) co_await search->changed;
  if (search->found) co_return std::move(*search->found);
  if (search->late) co_return fail(ETIMEDOUT, fmt::format("no answer within {}", limits::kPeerFindTimeout));
  co_return std::unexpected(search->error);
}

io::Task<void> Peers::ask(Peer& peer, Wanted wanted, std::shared_ptr<Search> search) {
  const io::Gate::Pass pass(running_);
  auto finding = peer.find(std::move(wanted));
  auto unit = co_await std::move(finding);
  --search->open;
  if (unit && !search->found) search->found = std::move(*unit);
  // That a peer could not be asked tells more than that another one has no such unit.
  if (!unit && unit.error().code != ENOENT) search->error = unit.error();
  search->changed.wake_all();
}

void Peers::stop() {
  for (const auto& peer : peers_) peer->stop();
}

io::Task<void> Peers::end() {
  for (const auto& peer : peers_) co_await peer->end();
  co_await running_.drained();
  co_await io::yield(home_);
}

}  // namespace peerlane::peers
