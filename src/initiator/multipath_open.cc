// Finding the paths to a logical unit, and opening them.

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "initiator/discovery.h"
#include "initiator/multipath.h"
#include "initiator/scsi_error.h"

namespace peerlane::initiator {
namespace {

/// A place where the logical unit may be reached.
struct Candidate {
  iscsi::Url url;
  bool same_target = true;  // then the LUN is the URL's; otherwise all LUNs there are looked at
};

/// The options of one path.
DiskOptions path_options(const MultipathOptions& options) {
  DiskOptions disk = options.disk;
  disk.session.replacement_timeout = options.path_timeout;
  disk.session.login.isid = {};  // each session has its own
  return disk;
}

/// Further places that the URL's portal tells of; none if it tells nothing.
io::Task<std::vector<Candidate>> find_candidates(io::Reactor& reactor, iscsi::Url url, DiskOptions options) {
  std::vector<Candidate> candidates;
  auto session = session_options_for(url, options.session, options.environment);
  if (!session) co_return candidates;
  auto asking = discover(reactor, session->link, session->login);
  auto targets = co_await std::move(asking);
  if (!targets) {
    log::warning("{}: no further paths: {}", iscsi::to_string(url), targets.error().text());
    co_return candidates;
  }
  for (const iscsi::DiscoveredTarget& target : *targets) {
    const bool same_target = target.name == url.target;
    for (const iscsi::TargetAddress& address : target.addresses) {
      if (same_target && address.host == url.host && address.port == url.port) continue;
      if (candidates.size() == limits::kPathCandidates) co_return candidates;
      Candidate candidate{url, same_target};
      candidate.url.host = address.host;
      candidate.url.port = address.port;
      candidate.url.target = target.name;
      candidates.push_back(std::move(candidate));
    }
  }
  co_return candidates;
}

/// The LUNs at a candidate that may be the logical unit.
io::Task<std::vector<std::uint32_t>> luns_at(io::Reactor& reactor, Candidate candidate, DiskOptions options) {
  std::vector<std::uint32_t> luns;
  if (candidate.same_target) {
    luns.push_back(candidate.url.lun);
    co_return luns;
  }
  auto session_options = session_options_for(candidate.url, options.session, options.environment);
  if (!session_options) co_return luns;
  auto opening = Session::open(reactor, std::move(*session_options));
  auto session = co_await std::move(opening);
  if (!session) co_return luns;
  auto reported = co_await report_luns(**session);
  if (reported) luns = std::move(*reported);
  co_await (*session)->close();
  if (luns.size() > limits::kPathLuns) luns.resize(limits::kPathLuns);
  co_return luns;
}

/// Opens a LUN as a further path to the unit of `paths`, or as the first one; null if that cannot be done.
io::Task<std::unique_ptr<Lun>> open_path(io::Reactor& reactor, iscsi::Url url, DiskOptions options,
                                         const std::vector<std::unique_ptr<Lun>>& paths) {
  const std::string where = iscsi::to_string(url);
  if (!paths.empty()) options.lun.known = paths.front()->facts();
  auto opening = open_disk(reactor, std::move(url), std::move(options));
  auto lun = co_await std::move(opening);
  if (lun) co_return std::move(*lun);
  log::write(lun.error().code == ESTALE ? log::Level::kDebug : log::Level::kWarning,
             fmt::format("{}: no path: {}", where, lun.error().text()));
  co_return nullptr;
}

/// Opens up to `sessions` paths through a candidate.
io::Task<void> add_paths(io::Reactor& reactor, Candidate candidate, unsigned sessions, DiskOptions options,
                         std::vector<std::unique_ptr<Lun>>& paths) {
  // Elsewhere the unit can only be recognised, and must have said who it is.
  const bool recognisable = !paths.empty() && !paths.front()->identity().stable.empty();
  if (!recognisable && (!candidate.same_target || !paths.empty())) co_return;
  auto asking = luns_at(reactor, candidate, options);
  const std::vector<std::uint32_t> luns = co_await std::move(asking);
  for (const std::uint32_t number : luns) {
    iscsi::Url url = candidate.url;
    url.lun = number;
    for (unsigned i = 0; i < sessions && paths.size() < limits::kPaths; ++i) {
      auto opening = open_path(reactor, url, options, paths);
      auto path = co_await std::move(opening);
      if (path == nullptr) break;
      paths.push_back(std::move(path));
    }
  }
}

/// What the URL's options ask for; nothing: one path.
Result<std::optional<MultipathOptions>> paths_wanted(const iscsi::Url& url) {
  MultipathOptions options;
  const std::string_view paths = url.option("paths");
  const std::string_view sessions = url.option("sessions");
  if (paths.empty() && sessions.empty()) return std::nullopt;
  if (!paths.empty() && paths != "all") {
    return fail(EINVAL, fmt::format("paths={} in the URL: it is all, or left out", iscsi::printable(paths)));
  }
  options.discover = paths == "all";
  if (!sessions.empty()) {
    const char* const end = sessions.data() + sessions.size();
    const auto read = std::from_chars(sessions.data(), end, options.sessions);
    if (read.ec != std::errc() || read.ptr != end || options.sessions == 0 ||
        options.sessions > limits::kSessionsPerPortal) {
      return fail(EINVAL, fmt::format("sessions={} in the URL: it is 1 to {}", iscsi::printable(sessions),
                                      limits::kSessionsPerPortal));
    }
  }
  return options;
}

/// One of the kinds of disks as a disk.
template <typename Kind>
Result<std::unique_ptr<block::Device>> as_device(Result<std::unique_ptr<Kind>> disk) {
  if (!disk) return std::unexpected(std::move(disk.error()));
  return std::unique_ptr<block::Device>(std::move(*disk));
}

}  // namespace

io::Task<Result<std::unique_ptr<block::Device>>> open_device(io::Reactor& reactor, iscsi::Url url,
                                                             DiskOptions options) {
  auto wanted = paths_wanted(url);
  if (!wanted) co_return std::unexpected(std::move(wanted.error()));
  if (!*wanted) {
    auto opening = open_disk(reactor, std::move(url), std::move(options));
    auto lun = co_await std::move(opening);
    co_return as_device(std::move(lun));
  }
  (*wanted)->replacement_timeout = options.session.replacement_timeout;
  (*wanted)->disk = std::move(options);
  auto opening = open_multipath(reactor, std::move(url), std::move(**wanted));
  auto disk = co_await std::move(opening);
  co_return as_device(std::move(disk));
}

io::Task<Result<std::unique_ptr<Multipath>>> open_multipath(io::Reactor& reactor, iscsi::Url url,
                                                            MultipathOptions options) {
  const DiskOptions disk = path_options(options);
  const unsigned sessions = std::max(options.sessions, 1u);
  const Candidate own{url};
  std::vector<std::unique_ptr<Lun>> paths;
  auto opening = open_disk(reactor, url, disk);
  auto first = co_await std::move(opening);
  if (first) {
    paths.push_back(std::move(*first));
    auto adding = add_paths(reactor, own, sessions - 1, disk, paths);
    co_await std::move(adding);
  } else if (!is_path_error(first.error()) || !options.discover) {
    co_return std::unexpected(std::move(first.error()));
  }
  if (options.discover) {
    auto finding = find_candidates(reactor, url, disk);
    const std::vector<Candidate> candidates = co_await std::move(finding);
    for (const Candidate& candidate : candidates) {
      auto adding = add_paths(reactor, candidate, sessions, disk, paths);
      co_await std::move(adding);
    }
  }
  if (paths.empty()) co_return std::unexpected(std::move(first.error()));
  if (!first) {  // it may be one that leads to the unit, but not to its data now
    auto adding = add_paths(reactor, own, sessions, disk, paths);
    co_await std::move(adding);
  }
  auto joined = Multipath::join(paths, options);
  if (joined) {
    co_await (*joined)->check();
    co_return joined;
  }
  for (const std::unique_ptr<Lun>& path : paths) {
    auto closed = co_await path->close();
    if (!closed) log::debug("{}", closed.error().text());
  }
  co_return joined;
}

}  // namespace peerlane::initiator
