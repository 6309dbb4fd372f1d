// The targets that third-party copies may come from and go to, and who finds a logical unit among them: the
// implementation of target::PeerUnits with Peerlane's own initiator.
//
// A designator (E4h; with an address, EBh) is looked for at all listed peers that whoever asks may use, and an address
// with a LUN (E5h, EAh) at the one peer that is listed with this portal. Nothing else is ever connected to.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "io/event.h"
#include "io/reactor.h"
#include "peers/local_disks.h"
#include "peers/peer.h"
#include "target/declaration.h"
#include "target/peer_units.h"

namespace peerlane::peers {

class Peers final : public target::PeerUnits {
 public:
  /// `home` is the reactor of all sessions; it outlives this. `idle`: see Peer. `open_local`: who finds disks of this
  /// machine. Errors, EINVAL: this host has no name to log in with.
  static Result<std::unique_ptr<Peers>> create(io::Reactor& home, const std::vector<target::PeerDeclaration>& declared,
                                               io::Duration idle = limits::kPeerIdle,
                                               LocalDisks::Open open_local = open_local_disk);
  /// Requires that end() has completed.
  ~Peers() override = default;

  io::Task<Result<target::PeerUnit>> find(scsi::Cscd cscd, target::PeerAsker asker) override;
  io::Task<Result<target::PeerUnit>> find_token(scsi::RodTokenBytes token, target::PeerAsker asker) override;

  /// No unit is found any more, and what is under way with peers ends soon. At home.
  void stop();
  /// Waits until all units are given back and all peers are logged out of. At home, after stop().
  io::Task<void> end();

 private:
  struct Search;

  Peers(io::Reactor& home, LocalDisks::Open open_local) : home_(home), local_disks_(std::move(open_local)) {}
  io::Task<void> find_here(const scsi::Cscd& cscd, const target::PeerAsker& asker, Result<target::PeerUnit>& found);
  io::Task<void> find_token_here(const scsi::RodTokenBytes& token, const target::PeerAsker& asker,
                                 Result<target::PeerUnit>& found);
  io::Task<Result<Peer::Found>> find_unit(const scsi::Cscd& cscd, const target::PeerAsker& asker);
  io::Task<Result<Peer::Found>> search(std::vector<Peer*> peers, Wanted wanted, io::TimePoint until);
  io::Task<void> ask(Peer& peer, Wanted wanted, std::shared_ptr<Search> search);
  Result<std::vector<Peer*>> peers_for(const scsi::Cscd& cscd, const target::PeerAsker& asker) const;

  io::Reactor& home_;
  LocalDisks local_disks_;
  std::vector<std::unique_ptr<Peer>> peers_;
  io::Gate running_;
};

}  // namespace peerlane::peers
