// A listening TCP socket, and the connections that arrive on it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/event.h"
#include "io/reactor.h"
#include "io/task.h"

namespace peerlane::io {

/// Opens a listening socket on a numeric IPv4 or IPv6 address (without brackets); port 0: the system chooses. IPv6
/// sockets take IPv6 only. The caller owns the descriptor. The error names the address and what to do. For
/// start-up: where another program listens it waits for kServerPredecessorWait, since that one may be about to be gone.
Result<int> listen_on(const std::string& host, std::uint16_t port);

/// Closes a socket that no reactor uses.
void close_socket(int fd);

/// The numeric address of a socket's own or far end, "127.0.0.1:3260" or "[::1]:3260"; "unknown" if the system cannot
/// tell.
std::string local_address(int fd);
std::string peer_address(int fd);

class Listener {
 public:
  /// Takes `fd`, which must be listening.
  Listener(Reactor& reactor, int fd);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

  /// The next connection's descriptor, which the caller then owns. ECANCELED once closed. Where the system is short of
  /// descriptors or memory it waits and tries again.
  Task<Result<int>> accept();

  /// Ends accept(), waits until the kernel is done with the socket, and closes it.
  Task<void> close();

  int fd() const { return fd_; }

 private:
  struct Accepting final : Operation {
    Listener* listener = nullptr;
    void complete(int result, unsigned flags) override;
  };

  void arm();

  Reactor& reactor_;
  int fd_;
  Accepting accepting_;
  bool armed_ = false;
  bool closing_ = false;
  std::vector<int> accepted_;  // connections nobody has asked for yet
  int last_error_ = 0;
  Event changed_;
};

}  // namespace peerlane::io
