// The peers of a service, and the thread on which their sessions live.
#pragma once

#include <memory>
#include <vector>

#include "base/error.h"
#include "cli/reactor_thread.h"
#include "peers/peers.h"
#include "target/declaration.h"

namespace peerlane::cli {

class PeerThread {
 public:
  /// Null if none are declared. Connects to nobody yet. Errors: the reactor's; as Peers::create().
  static Result<std::unique_ptr<PeerThread>> start(const std::vector<target::PeerDeclaration>& declared);
  /// Requires that stop() has returned true.
  ~PeerThread() = default;
  PeerThread(const PeerThread&) = delete;
  PeerThread& operator=(const PeerThread&) = delete;

  target::PeerUnits* units() { return peers_.get(); }

  /// Copies from and to peers end soon; returns at once. Before the service that has the units is stopped, which waits
  /// for its copies.
  void begin_stop();
  /// Waits until all peers are logged out of. False: one of them does not let go in time.
  bool stop();

 private:
  PeerThread() = default;

  std::unique_ptr<ReactorThread> thread_;
  std::unique_ptr<peers::Peers> peers_;  // belongs to the thread
};

}  // namespace peerlane::cli
