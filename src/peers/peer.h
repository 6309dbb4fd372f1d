// A target that copies may come from or go to, as the configuration lists it. Logged in to when somebody asks for one
// of its units, logged out of when nobody has for a while.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "io/event.h"
#include "io/reactor.h"
#include "peers/peer_session.h"
#include "scsi/cscd.h"
#include "target/declaration.h"
#include "target/peer_units.h"

namespace peerlane::peers {

/// Belongs to one reactor.
class Peer {
 public:
  /// A unit of it.
  struct Found {
    std::shared_ptr<initiator::Lun> lun;
    bool writable = false;
    std::shared_ptr<SharedDisk> shared;  // null: this machine does not have its disk
  };

  /// `declaration` has the name of the initiator; `local_disks` outlives the peer. Without a question and a disk that
  /// is lent for the time `idle`, the session is closed, at most limits::kPeerPause later.
  Peer(io::Reactor& reactor, target::PeerDeclaration declaration, LocalDisks& local_disks, io::Duration idle);
  /// Requires that end() has completed.
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  const target::PeerDeclaration& declaration() const { return declaration_; }

  /// Whether the configuration lets this I_T nexus use it.
  bool admits(const target::PeerAsker& asker) const;

  /// Whether its portal is at this address. False for a portal that is configured by a host's name: what that is today
  /// is not for a descriptor to say.
  bool is_at(const scsi::IpEndpoint& endpoint) const;

  /// Whether it has been seen to have a unit of this name.
  bool knows(const scsi::Designator& designator) const;

  /// Errors: as PeerSession::open() and PeerSession::find(); ECANCELED, after stop(). May take long; questions are
  /// answered one by one. After a login that failed there is none for limits::kPeerPause, but the same error.
  io::Task<Result<Found>> find(Wanted wanted);

  /// Answers no further questions and has commands that are under way end soon.
  void stop();
  /// Waits until all is given back and the peer is logged out of. After stop().
  io::Task<void> end();

 private:
  io::Task<Result<PeerSession::Found>> look(Wanted wanted);
  io::Task<Result<void>> log_in();
  void retire();
  io::Task<void> end_session(std::shared_ptr<PeerSession> session);
  void look_if_idle();

  io::Reactor& reactor_;
  const target::PeerDeclaration declaration_;
  LocalDisks& local_disks_;
  const io::Duration idle_time_;
  std::shared_ptr<PeerSession> session_;               // null: not logged in
  std::vector<std::shared_ptr<PeerSession>> retired_;  // whose disks are not all back
  bool stopping_ = false;
  bool looking_ = false;
  io::Event looked_;
  std::optional<Error> failure_;  // of the last login
  io::TimePoint failed_;
  io::Timer idle_;
  io::Gate running_;
};

}  // namespace peerlane::peers
