// What was found out about the ways between two ends a short while ago. Looking at disks and at the bus reads hundreds
// of files of sysfs; a target that is asked for one copy after the other between the same disks need not do that for
// each of them. A way that is not there any more refuses its first piece, as one that was looked at just now may do.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "copy/direct_way.h"
#include "io/executor.h"
#include "pcie/peer_to_peer.h"

namespace peerlane::copy {

struct Storage;

/// Tells two ends and a policy from all others, and from what they were before a disk was changed for another one, a
/// partition was moved, or a file replaced.
std::string name_of_pair(const Storage& source, const Storage& destination, pcie::Policy policy);

/// Thread-safe.
class KnownWays {
 public:
  /// What was kept under this name less than limits::kDirectWaysAge ago.
  std::optional<DirectWays> find(const std::string& pair, io::TimePoint now) const;

  /// Keeps it, instead of what was kept so before, or, of limits::kDirectWaysKept, for the longest time.
  void keep(const std::string& pair, const DirectWays& ways, io::TimePoint now);

 private:
  struct Entry {
    std::string pair;
    DirectWays ways;
    io::TimePoint found;
  };

  mutable std::mutex mutex_;
  std::vector<Entry> entries_;  // guarded by mutex_
};

}  // namespace peerlane::copy
