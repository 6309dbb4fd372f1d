// The ways on which data goes from one end to the other without crossing this host's memory: the file system shares its
// blocks, or has its server copy, the disk copies inside itself, disks reach each other over the bus, remote storage
// copies. What is open between two ends is found out when a copy is planned, with the reason for each way that is not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "copy/end.h"
#include "copy/way.h"
#include "io/buffer_pool.h"
#include "pcie/peer_to_peer.h"

namespace peerlane::copy {

/// What a mover is given besides the two ends. Outlives it.
struct MoverTools {
  Account& account;
  io::BufferShare& share;  // for buffers of the reactor
};

/// A way that is open between two ends.
struct DirectWay {
  Way way = Way::kClone;
  std::uint64_t unit = 4096;  // bytes, a power of two: pieces begin and end at multiples of it, at both ends
  std::uint64_t most = 0;     // bytes of a piece: a multiple of the unit
  bool to_end = false;        // a piece that ends where source and destination end may end anywhere
  std::string through;        // what is going to carry the data: "through the memory of 0000:03:00.0"; may be empty
  std::optional<std::uint64_t> bandwidth = {};  // bytes a second: of the slowest link on the way, where that is known
  std::vector<std::string> refusals = {};       // of storage that carries it, against ways of its own: "not clone: ..."
  std::function<std::unique_ptr<Mover>(const End& source, const End& destination, const MoverTools& tools)> make_mover;
};

/// A way that is not open, and why.
struct Refusal {
  Way way;
  std::string reason;
};

struct DirectWays {
  std::vector<DirectWay> open;    // shortest first
  std::vector<Refusal> refusals;  // one for each of the others, shortest first
};

/// Finds out. Changes nothing; reads sysfs, and asks disks and file systems what they can do, on a thread of its own,
/// if that was not done for these ends a moment ago. Storage of remote disks is asked over the network. The ends
/// outlive this.
io::Task<DirectWays> find_direct_ways(const End& source, const End& destination, pcie::Policy policy);

// --- Each way by itself: the error is the reason against it ---

struct Storage;
struct Machine;

Result<DirectWay> consider_clone(const Storage& source, const Storage& destination);
Result<DirectWay> consider_server_copy(const Storage& source, const Storage& destination);
Result<DirectWay> consider_nvme_copy(const Machine& disks, const Storage& source, const Storage& destination);
Result<DirectWay> consider_peer_to_peer(const Machine& disks, const Storage& source, const Storage& destination,
                                        pcie::Policy policy);
io::Task<Result<DirectWay>> consider_third_party(const End& source, const End& destination);

}  // namespace peerlane::copy
