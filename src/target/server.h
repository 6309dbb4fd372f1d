// A running target service: what a Declaration says, made so. Portals listen, workers serve, until it is asked to stop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "target/declaration.h"
#include "target/service.h"
#include "target/worker.h"

namespace peerlane::target {

struct StartOptions {
  /// Listening sockets that somebody else has opened (socket activation), owned by the server from then on. If there
  /// are any, they take the place of the declared portals, with the group tags of these in their order (1 where there
  /// are more).
  std::vector<int> inherited_sockets;

  /// Who finds logical units of other targets for copies; outlives the server. Null: nobody, and no other target is
  /// ever connected to.
  PeerUnits* peers = nullptr;
};

/// Where a LUN is to be found.
struct LunAddress {
  std::string url;   // iscsi://host:port/target/lun
  std::string host;  // numeric
  std::uint16_t port = 0;
  std::string target;  // iSCSI name
  std::uint16_t lun = 0;
  std::string disk;              // as declared
  std::uint64_t size = 0;        // bytes
  std::uint32_t block_size = 0;  // bytes
};

class Server {
 public:
  /// Opens the disks, listens, and serves; raises the process's limit of descriptors as far as it may. Blocks until all
  /// that is done; the error says what was in the way, and what to do.
  static Result<std::unique_ptr<Server>> start(const Declaration& declaration, const StartOptions& options);

  /// Requires that stop() has returned true.
  ~Server();

  /// All LUNs at all portals through which they are reachable.
  std::vector<LunAddress> luns() const;

  /// The features of the kernel that are in use, for the log.
  std::string features() const { return workers_.front()->features().text(); }

  /// Asks all initiators to log out, waits for those who do, cuts off the others, ends. False: a backend did not let go
  /// of a command in time; then the process can only exit at once.
  bool stop();

 private:
  Server() = default;
  Result<void> open_portals(const Declaration& declaration, const StartOptions& options);

  std::unique_ptr<Service> service_;
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace peerlane::target
