// A logical unit that is reached on several paths, as one block::Device: it works as long as one of them does, and
// uses all that are equally good.
//
// A path is a Lun with a session of its own: through another portal, or a second session through the same one. All of
// them must say that they lead to the same logical unit (VPD page 83h); a path that does not is not taken, and one that
// leads elsewhere after a reconnect is not used any more.
//
// What is good is the target's to say (SPC-4 §5.16.2): paths whose target port group is active/optimized come first,
// then those that are active/non-optimized; standby, unavailable and offline ones are not used. That is asked at
// the start, after a reconnect, when a command is refused for it, and every `check_interval`.
//
// A command whose path fails is sent again on another one. When its path failed after it was sent, the first sending
// may still be carried out by the target, which does not know yet that the connection is dead: a write may then be done
// twice, which does no harm to it; a later write of the same blocks on another path could be overtaken in theory if the
// target holds a command back for longer than `path_timeout`.
//
// Used from every reactor, as any Device: a path at home on the caller's reactor is preferred to equally good ones.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "block/device.h"
#include "initiator/disk.h"
#include "initiator/lun.h"
#include "initiator/unit_copy.h"
#include "io/event.h"
#include "io/executor.h"
#include "scsi/port_groups.h"

namespace peerlane::initiator {

/// How a path is chosen among the best.
enum class PathPolicy : std::uint8_t { kLeastOutstanding, kRoundRobin };

struct MultipathOptions {
  DiskOptions disk;  // of each path; its replacement time-out is path_timeout
  PathPolicy policy = PathPolicy::kLeastOutstanding;
  unsigned sessions = 1;                             // through each portal
  bool discover = true;                              // look for further paths through the portal's SendTargets
  io::Duration path_timeout = limits::kPathTimeout;  // how long a lost connection may take to come back until its
                                                     // commands go on elsewhere
  io::Duration replacement_timeout = limits::kReplacementTimeout;  // commands wait so long for any path
  io::Duration check_interval = limits::kPathCheck;
};

class Multipath final : public block::Device, public RemoteDisk {
 public:
  /// What a path is good for, the best first.
  enum class Rank : std::uint8_t { kOptimized, kNonOptimized, kUnusable };

  /// A path, for people.
  struct PathStatus {
    std::string session;  // its name
    std::string portal;   // "host:port"
    Rank rank = Rank::kUnusable;
    std::uint64_t commands = 0;  // that it was given
    std::uint64_t failures = 0;  // of these, those that went on elsewhere
  };

  /// Joins `paths` (1 to limits::kPaths), which it takes, and begins to watch them. Errors, EINVAL: several of them do
  /// not say who they are, or are not the same logical unit; then they stay the caller's.
  static Result<std::unique_ptr<Multipath>> join(std::vector<std::unique_ptr<Lun>>& paths,
                                                 const MultipathOptions& options);
  /// Requires that close() has completed.
  ~Multipath() override;

  block::Geometry geometry() const override { return first().geometry(); }
  block::Capabilities capabilities() const override { return capabilities_; }
  block::Identity identity() const override { return first().identity(); }
  std::uint32_t memory_alignment() const override { return 1; }
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, block::WriteFlags flags) override;
  io::Task<Result<void>> flush() override;
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override;
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override;
  io::Task<Result<std::vector<block::Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                          std::size_t most) override;
  Result<bool> refresh_size() override;
  block::CopyOffload* copy_offload() override { return this; }
  io::Task<Result<void>> close() override;

  Lun& path() override { return best(); }
  bool has_portal(const std::string& host, std::uint16_t port) const override;

  std::vector<PathStatus> paths() const;

  /// The best path now, for what only SCSI knows. It stays this device's.
  Lun& best();

  /// Asks the target what each path is good for, as is done now and then anyway. On the paths' home reactor, if that is
  /// one.
  io::Task<void> check();

 private:
  struct Path {
    std::unique_ptr<Lun> lun;
    std::atomic<Rank> rank{Rank::kOptimized};
    std::atomic<unsigned> outstanding{0};
    std::atomic<std::uint64_t> commands{0};
    std::atomic<std::uint64_t> failures{0};
    // On the path's home reactor
    io::Gate watched;
    io::Event ended;
  };

  explicit Multipath(const MultipathOptions& options) : options_(options) {}

  Lun& first() const { return *paths_.front()->lun; }
  Path* choose();
  template <typename T, typename Do>
  io::Task<Result<T>> on_some_path(Do work);
  io::Task<void> watch(Path& path);
  io::Task<Rank> rank_of(Path& path) const;
  static io::Task<void> close_path(Path& path);

  const MultipathOptions options_;
  block::Capabilities capabilities_;
  std::vector<std::unique_ptr<Path>> paths_;
  std::atomic<unsigned> turn_{0};  // round robin
  std::atomic<bool> closing_{false};
};

/// Opens the logical unit that `url` names on all paths that are found: `sessions` through the URL's portal and through
/// each further one that SendTargets tells of, of this target or of others with the same logical unit. A path that
/// cannot be opened is left out, with a line in the log. Errors, if there is none: as open_disk().
io::Task<Result<std::unique_ptr<Multipath>>> open_multipath(io::Reactor& reactor, iscsi::Url url,
                                                            MultipathOptions options);

/// Opens a URL's logical unit as its options say: on one path as open_disk() does, or with `paths=all` on all that are
/// found, or with `sessions=N` (2 to limits::kSessionsPerPortal) by so many sessions through the portal; both together
/// are so many through each portal. Errors: as open_disk(); EINVAL for other values.
io::Task<Result<std::unique_ptr<block::Device>>> open_device(io::Reactor& reactor, iscsi::Url url, DiskOptions options);

/// For people: "optimized".
const char* name(Multipath::Rank rank);

}  // namespace peerlane::initiator
