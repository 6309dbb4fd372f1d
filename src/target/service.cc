#include "target/service.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/units.h"
#include "block/device.h"
#include "block/filters.h"
#include "target/access.h"
#include "target/unit_place.h"

namespace peerlane::target {
namespace {

bool is_any_address(const std::string& host) {
  return host == "0.0.0.0" || host == "::";
}
bool is_ipv6(const std::string& host) {
  return host.find(':') != std::string::npos;
}

/// The target port groups of a target: one for each portal group that it is reachable through.
std::vector<PortGroupDeclaration> port_groups_of(const TargetNode& node, const Declaration& declaration) {
  std::vector<PortGroupDeclaration> groups;
  for (const PortalDeclaration& portal : declaration.portals) {
    const auto same = [&](const PortGroupDeclaration& group) { return group.tag == portal.group_tag; };
    if (!node.in_portal_group(portal.group_tag) || std::ranges::any_of(groups, same)) continue;
    const auto& declared = node.declaration.access_states;
    const auto at = std::ranges::find_if(declared, same);
    groups.push_back(at != declared.end() ? *at : PortGroupDeclaration{.tag = portal.group_tag});
  }
  return groups;
}

LoginRefusal refusal(iscsi::LoginStatus status, std::string why) {
  return {status, std::move(why), {}};
}

bool wants_cache(const Declaration& declaration) {
  const auto lun_wants = [](const LunDeclaration& lun) { return lun.filters.cache.mode != block::CacheMode::kOff; };
  return std::ranges::any_of(declaration.targets, [&](const TargetDeclaration& target) {
    return std::ranges::any_of(target.luns, lun_wants);
  });
}

}  // namespace

Service::Service(const Declaration& declaration)
    : discovery_(std::make_shared<const Authentication>(declaration.discovery)) {
  for (const TargetDeclaration& target : declaration.targets) {
    nodes_.push_back(std::make_unique<TargetNode>(target));
    authentications_.push_back(std::make_shared<const Authentication>(target.authentication));
  }
}

Result<std::unique_ptr<Service>> Service::create(const Declaration& declaration, PeerUnits* peers) {
  std::unique_ptr<Service> service(new Service(declaration));
  auto state = service->open_state(declaration.state);
  if (!state) return std::unexpected(state.error());
  if (wants_cache(declaration)) {
    auto memory = block::CacheMemory::create(declaration.cache_memory);
    if (!memory) return std::unexpected(memory.error());
    service->cache_ = std::move(*memory);
  }
  for (const auto& node : service->nodes_) {
    node->device.set_copies({peers, declaration.p2p});
    auto opened = service->open_disks(*node, port_groups_of(*node, declaration));
    if (!opened) return std::unexpected(opened.error());
  }
  return service;
}

Result<void> Service::open_state(const std::string& directory) {
  if (directory.empty()) return {};
  auto opened = FileStateStore::open(directory);
  if (opened) {
    state_ = std::move(*opened);
    return {};
  }
  if (FileStateStore::may_hold_state(directory)) {
    return fail(opened.error().code,
                fmt::format("{}; it may hold state, which would be out of date after the next change: let this user "
                            "read and write it, or name another directory (state)",
                            opened.error().text()));
  }
  log::warning(
      "{}: nothing that initiators ask to be kept survives a restart (reservations with APTPL are refused); "
      "name a directory that can be written (state)",
      opened.error().text());
  return {};
}

Result<void> Service::open_disks(TargetNode& node, const std::vector<PortGroupDeclaration>& port_groups) {
  for (const LunDeclaration& lun : node.declaration.luns) {
    block::OpenOptions how;
    how.logical_block_size = lun.block_size;
    how.read_only = lun.read_only;
    how.direct = lun.direct;
    how.patience = limits::kServerPredecessorWait;
    auto device = block::open_device(lun.disk, how);
    if (!device) {
      return fail(device.error().code, fmt::format("LUN {} of {}: {}", lun.number, node.name(), device.error().text()));
    }
    LogicalUnitOptions options;
    options.target_name = node.name();
    options.lun = scsi::Lun{lun.number};
    options.product = lun.name;
    options.physical_block_size = lun.physical_block_size;
    options.read_only = lun.read_only;
    options.write_through = lun.write_through;
    options.part = part_beneath(**device);
    options.state = state_.get();
    options.port_groups = port_groups;
    auto filtered = block::add_filters(std::move(*device), lun.filters, cache_.get());
    auto unit = std::make_unique<LogicalUnit>(std::move(filtered), options);
    if (const auto loaded = unit->load_state(); !loaded) {
      return fail(loaded.error().code, fmt::format("LUN {} of {}: {}", lun.number, node.name(), loaded.error().text()));
    }
    node.device.add(options.lun, std::move(unit));
  }
  return {};
}

TargetNode* Service::find_node(std::string_view name) const {
  const auto at = std::ranges::find_if(nodes_, [name](const auto& node) { return node->name() == name; });
  return at != nodes_.end() ? at->get() : nullptr;
}

LoginResult<LoginTerms> Service::find_target(const LoginQuery& query) const {
  if (query.session_type == SessionType::kDiscovery) return LoginTerms{{}, discovery_};
  const auto at = std::ranges::find_if(nodes_, [&](const auto& node) { return node->name() == query.target; });
  if (at == nodes_.end()) {
    return std::unexpected(refusal(iscsi::LoginStatus::kNotFound,
                                   "no target of this name is served here; SendTargets lists those that are"));
  }
  const TargetNode& node = **at;
  if (!node.in_portal_group(query.origin.portal_group_tag)) {
    return std::unexpected(refusal(iscsi::LoginStatus::kNotFound,
                                   fmt::format("the target is not reachable through portal group {}; see portal_groups",
                                               query.origin.portal_group_tag)));
  }
  if (!node.admits(std::string(query.initiator), host_of(query.origin.peer_address))) {
    return std::unexpected(refusal(iscsi::LoginStatus::kAuthorizationFailure,
                                   "the target's access list admits neither this name nor this address; see access"));
  }
  return LoginTerms{node.declaration.alias, authentications_[static_cast<std::size_t>(at - nodes_.begin())]};
}

void Service::look_after_disks() {
  for (const auto& node : nodes_) {
    node->device.tokens().purge(TokenStore::Clock::now());
    for (const scsi::Lun lun : node->device.luns()) {
      LogicalUnit& unit = node->device.unit(lun);
      const auto changed = unit.check_size();
      if (!changed) {
        log::error("LUN {} of {}: cannot ask for the disk's size: {}", lun.value, node->name(), changed.error().text());
      } else if (*changed) {
        log::info("LUN {} of {}: the disk has {} now", lun.value, node->name(),
                  format_size(unit.capacity().value * unit.block_size()));
      }
    }
  }
}

io::Task<void> Service::close_disks() {
  for (const auto& node : nodes_) {
    for (const scsi::Lun lun : node->device.luns()) {
      const auto closed = co_await node->device.unit(lun).device().close();
      if (!closed) log::error("LUN {} of {}: closing: {}", lun.value, node->name(), closed.error().text());
    }
  }
}

bool Service::end_background_work(std::chrono::steady_clock::time_point deadline) {
  bool ended = true;
  for (const auto& node : nodes_) {
    for (const scsi::Lun lun : node->device.luns()) ended &= node->device.unit(lun).background().stop(deadline);
  }
  return ended;
}

std::vector<PortalAddress> Service::addresses_of(const TargetNode& node, const io::Stream& stream) const {
  // A portal that listens at every address of the host is known to the initiator by the one it came to.
  const std::string here = host_of(stream.local_address());
  std::vector<PortalAddress> addresses;
  for (const PortalDeclaration& portal : portals_) {
    if (!node.in_portal_group(portal.group_tag)) continue;
    if (!is_any_address(portal.host)) {
      addresses.push_back({portal.host, portal.port, portal.group_tag});
    } else if (is_ipv6(portal.host) == is_ipv6(here)) {
      addresses.push_back({here, portal.port, portal.group_tag});
    }
  }
  return addresses;
}

std::vector<VisibleTarget> Service::visible_targets(const Session& session, const io::Stream& stream) {
  const std::string address = host_of(stream.peer_address());
  std::vector<VisibleTarget> visible;
  for (const auto& node : nodes_) {
    if (node->admits(session.identity().initiator, address)) {
      visible.push_back({node->name(), addresses_of(*node, stream)});
    }
  }
  return visible;
}

}  // namespace peerlane::target
