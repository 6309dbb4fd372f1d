// How a copy from one disk to another one can go over the bus: the verdict of peer_to_peer.h for block devices, with
// the best provider of memory that there is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pcie/block_devices.h"
#include "pcie/peer_to_peer.h"
#include "pcie/topology.h"

namespace peerlane::pcie {

struct DiskPair {
  /// Whether the policy allows to use `best`.
  bool peer_to_peer = false;

  /// Providers, best first; empty if no memory can be used, for which `reason` says why.
  std::vector<TripleVerdict> providers;

  std::string reason;  // a sentence without a full stop
  std::string remedy;  // sentences; may be empty

  /// The slowest link that a copy by the way chosen crosses, in bytes a second; nothing if one is not known.
  std::optional<std::uint64_t> bandwidth;

  /// The best provider's mapping; kNotSupported if there is none.
  Mapping mapping() const { return providers.empty() ? Mapping::kNotSupported : providers.front().mapping; }
};

/// Source and destination are NVMe namespaces or heads of disks.devices; others go through the host's memory. A disk
/// that is reached by several controllers is judged by the worst of them, since the kernel may take any.
DiskPair judge_disks(const Topology& topology, const Disks& disks, const BlockDevice& source,
                     const BlockDevice& destination, Policy policy);

}  // namespace peerlane::pcie
