#include "initiator/multipath.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include <fmt/format.h>

#include "base/log.h"
#include "initiator/scsi_error.h"
#include "scsi/opcodes.h"

namespace peerlane::initiator {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookAgain = 10ms;  // whether a path is there again
constexpr std::size_t kPortGroupsBytes = 4096;

/// The target port group of the port that a path came through (VPD page 83h); nothing if the unit does not say.
std::optional<std::uint16_t> port_group_of(const UnitFacts& facts) {
  for (const scsi::Designator& designator : facts.designators) {
    if (designator.type == scsi::DesignatorType::kTargetPortGroup && designator.bytes.size() == 4) {
      return get_be16(designator.bytes, 2);
    }
  }
  return std::nullopt;
}

Multipath::Rank rank_of_state(scsi::AccessState state) {
  switch (state) {
    case scsi::AccessState::kOptimized:
      return Multipath::Rank::kOptimized;
    case scsi::AccessState::kNonOptimized:
    case scsi::AccessState::kBlockDependent:
      return Multipath::Rank::kNonOptimized;
    default:
      return Multipath::Rank::kUnusable;
  }
}

std::string portal_of(const Lun& lun) {
  const LinkOptions& link = lun.session().options().link;
  return iscsi::to_string(iscsi::TargetAddress{link.host, link.port, std::nullopt});
}

}  // namespace

const char* name(Multipath::Rank rank) {
  switch (rank) {
    case Multipath::Rank::kOptimized:
      return "optimized";
    case Multipath::Rank::kNonOptimized:
      return "non-optimized";
    default:
      return "not usable";
  }
}

// --- Its life ---

Result<std::unique_ptr<Multipath>> Multipath::join(std::vector<std::unique_ptr<Lun>>& paths,
                                                   const MultipathOptions& options) {
  assert(!paths.empty() && paths.size() <= limits::kPaths);
  const std::string identity = paths.front()->identity().stable;
  if (identity.empty() && paths.size() > 1) {
    return fail(EINVAL, "the logical unit does not say who it is: no two paths to it can be told from paths to others");
  }
  std::unique_ptr<Multipath> device(new Multipath(options));
  device->capabilities_ = paths.front()->capabilities();
  for (const std::unique_ptr<Lun>& lun : paths) {
    if (lun->identity().stable != identity ||
        lun->geometry().logical_block_size != paths.front()->geometry().logical_block_size) {
      return fail(EINVAL, fmt::format("two paths lead to different logical units: {} and {}", identity,
                                      lun->identity().stable));
    }
    device->capabilities_.read_only |= lun->capabilities().read_only;
  }
  for (std::unique_ptr<Lun>& lun : paths) {
    device->paths_.push_back(std::make_unique<Path>());
    device->paths_.back()->lun = std::move(lun);
  }
  for (const std::unique_ptr<Path>& path : device->paths_) {
    path->lun->session().reactor().post([self = device.get(), at = path.get()] { io::spawn(self->watch(*at)); });
  }
  return device;
}

Multipath::~Multipath() {
  assert(paths_.empty() || closing_);
}

io::Task<void> Multipath::close_path(Path& path) {
  // What join() has posted comes before this, as everything here does on the path's reactor.
  co_await io::yield(path.lun->session().reactor());
  path.ended.set();
  co_await path.watched.drained();
}

io::Task<Result<void>> Multipath::close() {
  closing_ = true;
  Result<void> result;
  for (const std::unique_ptr<Path>& path : paths_) {
    std::function<io::Task<void>()> end_watch = [at = path.get()] { return close_path(*at); };
    co_await io::run_on(io::Reactor::current(), path->lun->session().reactor(), std::move(end_watch));
    auto closed = co_await path->lun->close();
    if (!closed) result = std::move(closed);
  }
  co_return result;
}

// --- What the paths are good for ---

/// Follows a path's state: whether its session is logged in, and what the target says of it.
io::Task<void> Multipath::watch(Path& path) {
  const io::Gate::Pass pass(path.watched);
  io::Reactor& home = path.lun->session().reactor();
  io::Event wake;
  io::Timer timer(home, [&wake] { wake.wake_all(); });
  io::TimePoint checked;
  while (!path.ended.is_set()) {
    const bool logged_in = path.lun->session().state() == Session::State::kLoggedIn;
    const Rank before = path.rank.load(std::memory_order_relaxed);
    if (!logged_in) {
      path.rank.store(Rank::kUnusable, std::memory_order_relaxed);
    } else if (before == Rank::kUnusable || home.now() - checked >= options_.check_interval) {
      const Rank rank = co_await rank_of(path);
      checked = home.now();
      path.rank.store(rank, std::memory_order_relaxed);
      if (rank != before) log::info("path {}: {}", path.lun->session().name(), name(rank));
    }
    // Short steps, so that the end of the disk and of a failure are seen soon; each is a look at a few variables.
    timer.arm_after(std::min<io::Duration>(options_.check_interval, limits::kPathLook));
    if (!path.ended.is_set()) co_await wake;
  }
}

/// What the target says of the port that the path came through (REPORT TARGET PORT GROUPS, SPC-4 §6.37).
io::Task<Multipath::Rank> Multipath::rank_of(Path& path) const {
  const std::optional<std::uint16_t> group = port_group_of(path.lun->facts());
  if (!group || path.lun->facts().inquiry.target_port_groups == 0) co_return Rank::kOptimized;
  std::vector<std::uint8_t> data(kPortGroupsBytes);
  Request request;
  request.cdb[0] = static_cast<std::uint8_t>(scsi::OperationCode::kMaintenanceIn);
  request.cdb[1] = scsi::kReportTargetPortGroups;
  put_be32(request.cdb, 6, static_cast<std::uint32_t>(data.size()));
  request.data_in = data;
  request.timeout = limits::kPathCheckTimeout;
  auto result = co_await path.lun->execute(request);
  if (!result) co_return Rank::kUnusable;
  if (!succeeded(*result)) co_return Rank::kOptimized;  // a unit that does not tell is not kept from working
  const auto groups = scsi::decode_port_groups(ByteView(data).first(result->transferred));
  if (!groups) co_return Rank::kOptimized;
  for (const scsi::TargetPortGroup& told : *groups) {
    if (told.group == *group) co_return rank_of_state(told.state);
  }
  co_return Rank::kOptimized;
}

io::Task<void> Multipath::check() {
  for (const std::unique_ptr<Path>& path : paths_) {
    const Rank rank = co_await rank_of(*path);
    path->rank.store(rank, std::memory_order_relaxed);
  }
}

bool Multipath::has_portal(const std::string& host, std::uint16_t port) const {
  return std::ranges::any_of(paths_, [&](const auto& path) { return path->lun->has_portal(host, port); });
}

Lun& Multipath::best() {
  Path* const path = choose();
  return path == nullptr ? first() : *path->lun;
}

/// The best path now; null if there is none.
Multipath::Path* Multipath::choose() {
  const std::size_t count = paths_.size();
  const bool in_turn = options_.policy == PathPolicy::kRoundRobin;
  const std::size_t begin = in_turn && count > 1 ? turn_.fetch_add(1, std::memory_order_relaxed) % count : 0;
  struct Merit {
    Rank rank;
    bool foreign;
    unsigned outstanding;
    auto operator<=>(const Merit&) const = default;
  };
  Path* best = nullptr;
  Merit best_merit{};
  for (std::size_t i = 0; i < count; ++i) {
    Path& path = *paths_[(begin + i) % count];
    const Merit merit{path.rank.load(std::memory_order_relaxed), !path.lun->session().reactor().here(),
                      in_turn ? 0 : path.outstanding.load(std::memory_order_relaxed)};
    if (merit.rank == Rank::kUnusable || (best != nullptr && merit >= best_merit)) continue;
    best = &path;
    best_merit = merit;
  }
  return best;
}

/// Does `work(Lun&)`, which can be done twice, on the best path, and on others when that fails.
template <typename T, typename Do>
io::Task<Result<T>> Multipath::on_some_path(Do work) {
  io::Reactor& here = io::Reactor::current();
  std::optional<io::TimePoint> failing_since;
  std::optional<Error> last;
  for (;;) {
    if (Path* const path = choose()) {
      path->commands.fetch_add(1, std::memory_order_relaxed);
      path->outstanding.fetch_add(1, std::memory_order_relaxed);
      auto task = work(*path->lun);
      auto result = co_await std::move(task);
      path->outstanding.fetch_sub(1, std::memory_order_relaxed);
      if (result || !is_path_error(result.error())) [[likely]]
        co_return std::move(result);
      path->failures.fetch_add(1, std::memory_order_relaxed);
      if (path->rank.exchange(Rank::kUnusable, std::memory_order_relaxed) != Rank::kUnusable) {
        log::warning("path {} fails: {}", path->lun->session().name(), result.error().text());
      }
      last = std::move(result.error());
    }
    if (!failing_since) failing_since = here.now();
    if (closing_ || here.now() - *failing_since >= options_.replacement_timeout) {
      const Error why = last.value_or(Error{ENOTCONN, "none is there"});
      co_return fail(why.code, fmt::format("no path leads to {} any more: {}", identity().spec, why.text()));
    }
    if (choose() == nullptr) co_await io::sleep(here, kLookAgain);
  }
}

// --- block::Device ---

io::Task<Result<void>> Multipath::read(std::uint64_t offset, ByteSpan into) {
  return on_some_path<void>([offset, into](Lun& lun) { return lun.read(offset, into); });
}

io::Task<Result<void>> Multipath::write(std::uint64_t offset, ByteView from, block::WriteFlags flags) {
  return on_some_path<void>([offset, from, flags](Lun& lun) { return lun.write(offset, from, flags); });
}

/// The cache is the logical unit's: one path brings down what all have written.
io::Task<Result<void>> Multipath::flush() {
  return on_some_path<void>([](Lun& lun) { return lun.flush(); });
}

io::Task<Result<void>> Multipath::unmap(std::uint64_t offset, std::uint64_t length) {
  return on_some_path<void>([offset, length](Lun& lun) { return lun.unmap(offset, length); });
}

io::Task<Result<void>> Multipath::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  return on_some_path<void>(
      [offset, length, may_unmap](Lun& lun) { return lun.write_zeroes(offset, length, may_unmap); });
}

io::Task<Result<std::vector<block::Extent>>> Multipath::allocation(std::uint64_t offset, std::uint64_t length,
                                                                   std::size_t most) {
  return on_some_path<std::vector<block::Extent>>(
      [offset, length, most](Lun& lun) { return lun.allocation(offset, length, most); });
}

Result<bool> Multipath::refresh_size() {
  const std::uint64_t before = first().geometry().size;
  // The first path tells the size. One that is down learns it when it comes back; until then the size stays.
  for (const std::unique_ptr<Path>& path : paths_) {
    if (auto refreshed = path->lun->refresh_size(); !refreshed) return refreshed;
  }
  return first().geometry().size != before;
}

std::vector<Multipath::PathStatus> Multipath::paths() const {
  std::vector<PathStatus> list;
  for (const std::unique_ptr<Path>& path : paths_) {
    list.push_back({.session = path->lun->session().name(),
                    .portal = portal_of(*path->lun),
                    .rank = path->rank.load(std::memory_order_relaxed),
                    .commands = path->commands.load(std::memory_order_relaxed),
                    .failures = path->failures.load(std::memory_order_relaxed)});
  }
  return list;
}

}  // namespace peerlane::initiator
