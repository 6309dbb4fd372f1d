// The targets that third-party copies may come from and go to, and who finds a logical unit among them: the
// implementation of target::PeerUnits with Peerlane's own initiator.
//
// A designator (E4h; with an address, EBh) is looked for at all listed peers that whoever asks may use, and an address
// with a LUN (E5h, EAh) at the one peer that is listed with this portal. Nothing else is ever connected to.
#pragma once

#include <memory>
#include <vector>

#include "base/error.h"
#include "base/limits.h"
#include "io/event.h"
#include "io/reactor.h"
#include "peers/peer.h"
#include "target/declaration.h"
#include "target/peer_units.h"

namespace peerlane::peers {

class Peers final : public target::PeerUnits {
 public:
  /// `home` is the reactor of all sessions; it outlives this. `idle`: see Peer. Errors, EINVAL: this host has no name
  /// to log in with.
  static Result<std::unique_ptr<Peers>> create(io::Reactor& home, const std::vector<target::PeerDeclaration>& declared,
                                               io::Duration idle = limits::kPeerIdle);
  /// Requires that end() has completed.
  ~Peers() override = default;

  io::Task<Result<target::PeerUnit>> find(scsi::Cscd cscd, target::PeerAsker asker) override;

  /// No unit is found any more, and what is under way with peers ends soon. At home.
  void stop();
  /// Waits until all units are given back and all peers are logged out of. At home, after stop().
  io::Task<void> end();

 private:
  struct Search;

  explicit Peers(io::Reactor& home) : home_(home) {}
  io::Task<void> find_here(const scsi::Cscd& cscd, const target::PeerAsker& asker, Result<target::PeerUnit>& found);
  io::Task<Result<target::PeerUnit>> search(std::vector<Peer*> peers, Wanted wanted, io::TimePoint until);
  io::Task<void> ask(Peer& peer, Wanted wanted, std::shared_ptr<Search> search);
  Result<std::vector<Peer*>> peers_for(const scsi::Cscd& cscd, const target::PeerAsker& asker) const;

  io::Reactor& home_;
  std::vector<std::unique_ptr<Peer>> peers_;
  io::Gate running_;
};

}  // namespace peerlane::peers
