#include "cli/topology_view.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "base/units.h"
#include "pcie/host_bridge.h"
#include "pcie/peer_memory.h"
#include "pcie/probe.h"

namespace peerlane::cli {
namespace {

using pcie::BlockDevice;
using pcie::Function;
using pcie::Role;
using RowKind = TopologyRow::Kind;

std::string host_bridge_text(const pcie::Topology& topology, const pcie::RootBus& bus) {
  std::string text = "host bridge";
  if (bus.bridge) {
    const Function& bridge = topology.functions[*bus.bridge];
    text += fmt::format(" {:04x}:{:04x}", bridge.vendor, bridge.device);
  }
  if (pcie::processor_forwards(topology.processor)) return text + ", forwards between devices (AMD Zen or later)";
  const auto forwarding = bus.bridge ? pcie::host_bridge_forwarding(topology.functions[*bus.bridge].vendor,
                                                                    topology.functions[*bus.bridge].device)
                                     : pcie::Forwarding::kNotKnown;
  if (forwarding == pcie::Forwarding::kAcross) return text + ", forwards between devices";
  if (forwarding == pcie::Forwarding::kWithinBridge) return text + ", forwards between its own devices";
  return text + ", not known to Linux as one that forwards between devices";
}

std::string role_text(const Function& function) {
  switch (function.role) {
    case Role::kRootPort:
      return "root port";
    case Role::kUpstreamPort:
      return "switch upstream port";
    case Role::kDownstreamPort:
      return "switch downstream port";
    case Role::kBridge:
      return "bridge to PCI";
    case Role::kEndpoint:
      break;
  }
  return function.is_nvme() ? "NVMe" : fmt::format("class {:06x}", function.class_code);
}

std::string acs_text(const pcie::Acs& acs) {
  switch (acs.state) {
    case pcie::Acs::State::kNotVisible:
      return ", ACS not visible";
    case pcie::Acs::State::kAbsent:
      return ", no ACS";
    case pcie::Acs::State::kPresent:
      break;
  }
  return acs.redirects() ? ", ACS redirect on" : ", ACS redirect off";
}

std::string link_text(const Function& function) {
  if (!function.link.known()) return {};
  std::string text = ", " + to_string(function.link);
  if (function.most.known() && function.most.bytes_per_second() > function.link.bytes_per_second()) {
    text += fmt::format(" of {} possible", to_string(function.most));
  }
  return text + fmt::format(" ({})", format_bandwidth(function.link.bytes_per_second()));
}

std::string function_text(const Function& function) {
  std::string text = fmt::format("{} {:04x}:{:04x}", role_text(function), function.vendor, function.device);
  text += link_text(function);
  if (function.is_bridge() || function.acs.redirects()) text += acs_text(function.acs);
  if (!function.is_bridge()) {
    if (!function.driver.empty()) text += ", driver " + function.driver;
    if (function.numa_node) text += fmt::format(", NUMA node {}", *function.numa_node);
    if (function.iommu_group) text += fmt::format(", IOMMU group {} ({})", *function.iommu_group, function.iommu_type);
  }
  return text;
}

/// Builds the rows, root bus by root bus.
class Rows {
 public:
  Rows(TopologyView& view, bool all) : view_(view), shown_(view.topology.functions.size(), all) {
    if (all) return;
    for (std::size_t i = 0; i < shown_.size(); ++i) {
      if (leads_somewhere(i)) show_with_parents(i);
    }
  }

  void build() {
    const pcie::Topology& topology = view_.topology;
    for (std::size_t bus = 0; bus < topology.root_buses.size(); ++bus) {
      if (!bus_is_used(bus)) continue;
      add(RowKind::kRootBus, 0, topology.root_buses[bus].name, host_bridge_text(topology, topology.root_buses[bus]));
      for (std::size_t i = 0; i < shown_.size(); ++i) {
        if (!topology.functions[i].parent && topology.functions[i].root_bus == bus) add_function(i, 1);
      }
    }
    for (std::size_t i = 0; i < view_.devices.controllers.size(); ++i) {
      if (!view_.devices.controllers[i].function) add_controller(i, 0);
    }
  }

 private:
  bool leads_somewhere(std::size_t i) const {
    const Function& function = view_.topology.functions[i];
    return function.is_nvme() || function.peer_memory.has_value() ||
           std::ranges::any_of(view_.devices.devices, [i](const BlockDevice& device) { return device.function == i; });
  }

  void show_with_parents(std::size_t i) {
    while (!shown_[i]) {
      shown_[i] = true;
      if (!view_.topology.functions[i].parent) break;
      i = *view_.topology.functions[i].parent;
    }
  }

  bool bus_is_used(std::size_t bus) const {
    for (std::size_t i = 0; i < shown_.size(); ++i) {
      if (shown_[i] && view_.topology.functions[i].root_bus == bus) return true;
    }
    return false;
  }

  void add(RowKind kind, unsigned depth, std::string name, std::string text) {
    view_.rows.push_back({kind, depth, std::move(name), std::move(text)});
  }

  void add_function(std::size_t i, unsigned depth) {
    if (!shown_[i] || depth > shown_.size()) return;
    const Function& function = view_.topology.functions[i];
    add(function.is_bridge() ? RowKind::kPort : RowKind::kFunction, depth, to_string(function.address),
        function_text(function));
    if (function.peer_memory) {
      add(RowKind::kMemory, depth + 1, "peer memory",
          fmt::format("{}, {} free{}", format_size(function.peer_memory->size),
                      format_size(function.peer_memory->available),
                      function.peer_memory->allocatable ? "" : ", not for programs"));
    }
    for (std::size_t c = 0; c < view_.devices.controllers.size(); ++c) {
      if (view_.devices.controllers[c].function == i) add_controller(c, depth + 1);
    }
    for (const BlockDevice& device : view_.devices.devices) {
      if (device.function == i) {
        add(RowKind::kDisk, depth + 1, device.name, fmt::format("{}, {}", format_size(device.size), device.driver));
      }
    }
    for (std::size_t child = 0; child < shown_.size(); ++child) {
      if (view_.topology.functions[child].parent == i) add_function(child, depth + 1);
    }
  }

  void add_controller(std::size_t i, unsigned depth) {
    const pcie::Controller& controller = view_.devices.controllers[i];
    std::string text =
        fmt::format("{}, serial {}, firmware {}", controller.model, controller.serial, controller.firmware);
    if (!controller.subsystem.empty()) text += ", " + controller.subsystem;
    if (controller.transport != "pcie") text += fmt::format(", over {}", controller.transport);
    if (!controller.state.empty() && controller.state != "live") text += ", " + controller.state;
    add(RowKind::kController, depth, controller.name, std::move(text));
    for (const BlockDevice& device : view_.devices.devices) {
      if (device.kind == BlockDevice::Kind::kNamespacePath || !is_reached_by(device, i)) continue;
      std::string about = format_size(device.size);
      if (device.nsid) about += fmt::format(", namespace {}", *device.nsid);
      if (view_.devices.controllers_of(device).size() > 1) about += ", several paths";
      add(RowKind::kDisk, depth + 1, device.name, std::move(about));
    }
  }

  bool is_reached_by(const BlockDevice& device, std::size_t controller) const {
    const auto controllers = view_.devices.controllers_of(device);
    return std::ranges::find(controllers, controller) != controllers.end();
  }

  TopologyView& view_;
  std::vector<bool> shown_;
};

bool is_disk(const BlockDevice& device) {
  return device.kind == BlockDevice::Kind::kNamespace || device.kind == BlockDevice::Kind::kNamespaceHead;
}

/// The disks of the matrix: those beneath the paths, or all of NVMe.
void choose_disks(TopologyView& view) {
  for (const BlockDevice& device : view.devices.devices) {
    bool chosen = view.paths.empty() && is_disk(device);
    for (const TopologyPath& path : view.paths) {
      chosen = chosen || std::ranges::find(path.beneath.disks, device.name) != path.beneath.disks.end();
    }
    if (!chosen) continue;
    if (view.disks.size() < limits::kTopologyDisks) {
      view.disks.push_back(&device);
    } else {
      ++view.left_out;
    }
  }
}

}  // namespace

const TopologyPair* TopologyView::find(std::size_t source, std::size_t destination) const {
  const auto at = std::ranges::find_if(
      pairs, [&](const TopologyPair& pair) { return pair.source == source && pair.destination == destination; });
  return at == pairs.end() ? nullptr : &*at;
}

void complete(TopologyView& view, bool all) {
  Rows(view, all).build();
  choose_disks(view);
  for (std::size_t from = 0; from < view.disks.size(); ++from) {
    for (std::size_t to = 0; to < view.disks.size(); ++to) {
      if (from == to) continue;
      view.pairs.push_back(
          {from, to, judge_disks(view.topology, view.devices, *view.disks[from], *view.disks[to], view.policy)});
    }
  }
}

void probe(TopologyView& view, const pcie::Sysfs& sysfs) {
  std::set<std::pair<std::size_t, std::size_t>> wanted;  // provider and disk
  for (const TopologyPair& pair : view.pairs) {
    if (!pair.verdict.peer_to_peer) continue;
    for (const std::size_t disk : {pair.source, pair.destination}) {
      wanted.emplace(pair.verdict.providers.front().provider, disk);
    }
  }
  for (const auto& [provider, disk] : wanted) {
    const auto memory = pcie::open_provider(sysfs, view.topology.functions[provider]);
    const auto done = pcie::probe(*memory, "/dev/" + view.disks[disk]->name);
    view.probes.push_back({disk, provider, done ? std::string() : done.error().text()});
  }
  for (TopologyPair& pair : view.pairs) {
    if (!pair.verdict.peer_to_peer) continue;
    for (const TopologyProbe& tried : view.probes) {
      const bool of_pair = tried.provider == pair.verdict.providers.front().provider &&
                           (tried.disk == pair.source || tried.disk == pair.destination);
      if (!of_pair || tried.error.empty()) continue;
      pair.verdict.peer_to_peer = false;
      pair.verdict.reason = tried.error;
      pair.verdict.remedy.clear();
    }
  }
}

std::string format_bandwidth(std::uint64_t bytes_per_second) {
  return fmt::format("{:.2f} GB/s", static_cast<double>(bytes_per_second) / 1e9);
}

std::string way_word(const pcie::DiskPair& pair) {
  if (pair.mapping() == pcie::Mapping::kUnknown) return "?";
  if (!pair.peer_to_peer) return "host";
  return pair.mapping() == pcie::Mapping::kBusAddress ? "bus" : "bridge";
}

}  // namespace peerlane::cli
