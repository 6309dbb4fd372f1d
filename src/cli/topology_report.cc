#include <algorithm>
#include <map>
#include <tuple>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/topology_view.h"

namespace peerlane::cli {
namespace {

using nlohmann::ordered_json;
using RowKind = TopologyRow::Kind;

// --- Text ------------------------------------------------------------------------------------------------------------

enum class Colour : std::uint8_t { kNone, kBold, kGreen, kYellow, kCyan };

class Painter {
 public:
  explicit Painter(bool on) : on_(on) {}

  std::string operator()(Colour colour, const std::string& text) const {
    static constexpr const char* kCodes[] = {"", "1", "32", "33", "36"};
    if (!on_ || colour == Colour::kNone) return text;
    return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<unsigned>(colour)], text);
  }

 private:
  bool on_;
};

Colour colour_of(RowKind kind) {
  switch (kind) {
    case RowKind::kRootBus:
      return Colour::kBold;
    case RowKind::kMemory:
      return Colour::kGreen;
    case RowKind::kController:
    case RowKind::kDisk:
      return Colour::kCyan;
    default:
      return Colour::kNone;
  }
}

Colour colour_of(const std::string& way) {
  if (way == "bus" || way == "bridge") return Colour::kGreen;
  return way == "?" ? Colour::kYellow : Colour::kNone;
}

std::string header_text(const TopologyView& view) {
  const pcie::Processor& processor = view.topology.processor;
  std::string text = view.topology.kernel.empty() ? "Linux" : "Linux " + view.topology.kernel;
  if (!processor.vendor.empty()) text += fmt::format(", {} family {}", processor.vendor, processor.family);
  return text + "\n";
}

std::string tree_text(const TopologyView& view, const Painter& paint) {
  std::string text;
  for (const TopologyRow& row : view.rows) {
    text += fmt::format("{:{}}{}  {}\n", "", row.depth * 2, paint(colour_of(row.kind), row.name), row.text);
  }
  return text.empty() ? "No disks on the bus.\n" : text;
}

std::string paths_text(const TopologyView& view) {
  std::string text;
  for (const TopologyPath& path : view.paths) {
    if (!path.error.empty()) continue;  // standard error has it
    text += path.path;
    for (const std::string& layer : path.beneath.layers) text += fmt::format(" > {}", layer);
    text += fmt::format(" > {}", fmt::join(path.beneath.disks, ", "));
    if (!path.beneath.direct) text += "  (what lies between does not pass peer memory: copies go through the host's)";
    text += "\n";
  }
  return text.empty() ? text : text + "\n";
}

std::string cell_text(const TopologyPair& pair) {
  const std::string way = way_word(pair.verdict);
  if (!pair.verdict.bandwidth) return way;
  return fmt::format("{} {:.2f}", way, static_cast<double>(*pair.verdict.bandwidth) / 1e9);
}

std::string matrix_text(const TopologyView& view, const Painter& paint) {
  std::size_t width = 12;
  for (const pcie::BlockDevice* const disk : view.disks) width = std::max(width, disk->name.size() + 2);
  std::string text = fmt::format("Copies, from the disk at the left to the one at the top (policy {}):\n\n{:{}}",
                                 to_string(view.policy), "", width);
  for (const pcie::BlockDevice* const disk : view.disks) text += fmt::format("{:<{}}", disk->name, width);
  for (std::size_t from = 0; from < view.disks.size(); ++from) {
    text.erase(text.find_last_not_of(' ') + 1);
    text += fmt::format("\n{:<{}}", view.disks[from]->name, width);
    for (std::size_t to = 0; to < view.disks.size(); ++to) {
      const TopologyPair* const pair = view.find(from, to);
      const std::string cell = pair == nullptr ? "-" : cell_text(*pair);
      const Colour colour = pair == nullptr ? Colour::kNone : colour_of(way_word(pair->verdict));
      text += paint(colour, cell) + std::string(width - std::min(width - 1, cell.size()), ' ');
    }
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text +
         "\n\nbus: peer-to-peer, switches forward; bridge: peer-to-peer, the host bridge forwards; host: through the "
         "host's memory;\n?: depends on what was not visible. Numbers: GB/s of the slowest link.\n\n";
}

/// A paragraph with lines of at most 100 columns, where its words allow it.
std::string paragraph(const std::string& text, const std::string& indent) {
  constexpr std::size_t kColumns = 100;
  std::string lines = indent;
  std::size_t column = indent.size();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (column + (end - at) > kColumns && column > indent.size()) {
      lines.back() = '\n';
      lines += indent;
      column = indent.size();
    }
    lines += text.substr(at, end - at) + ' ';
    column += end - at + 1;
    at = end + 1;
  }
  lines.back() = '\n';
  return lines;
}

/// Pairs of which the same is to be said are told together.
std::string reasons_text(const TopologyView& view) {
  std::map<std::tuple<std::string, std::string, std::string>, std::vector<std::string>> groups;
  for (const TopologyPair& pair : view.pairs) {
    std::string how = way_word(pair.verdict);
    if (pair.verdict.peer_to_peer) {
      const pcie::TripleVerdict& best = pair.verdict.providers.front();
      how += fmt::format(" by the memory of {}", to_string(view.topology.functions[best.provider].address));
      if (best.translated) how += " (an IOMMU translates: the first transfer is to be checked)";
    }
    groups[{how, pair.verdict.reason, pair.verdict.remedy}].push_back(
        fmt::format("{} > {}", view.disks[pair.source]->name, view.disks[pair.destination]->name));
  }
  std::string text;
  for (const auto& [what, pairs] : groups) {
    const auto& [how, reason, remedy] = what;
    text += paragraph(fmt::format("{}", fmt::join(pairs, ", ")), "");
    text += paragraph(fmt::format("{}: {}.", how, reason), "  ");
    if (!remedy.empty()) text += paragraph(remedy, "  ");
  }
  return text;
}

std::vector<std::string> probe_lines(const TopologyView& view) {
  std::vector<std::string> lines;
  for (const TopologyProbe& tried : view.probes) {
    lines.push_back(fmt::format("{} into the memory of {}: {}", view.disks[tried.disk]->name,
                                to_string(view.topology.functions[tried.provider].address),
                                tried.error.empty() ? "the right bytes came" : tried.error));
  }
  return lines;
}

std::string list_text(const std::string& title, const std::vector<std::string>& lines) {
  if (lines.empty()) return {};
  std::string text = "\n" + title + "\n";
  for (const std::string& line : lines) text += fmt::format("  {}\n", line);
  return text;
}

// --- JSON ------------------------------------------------------------------------------------------------------------

ordered_json or_null(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(text);
}

template <typename T>
ordered_json or_null(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

ordered_json to_json(const pcie::Link& link) {
  if (!link.known()) return nullptr;
  return {{"gigatransfers", link.rate / 1000.0}, {"lanes", link.lanes}, {"bandwidth", link.bytes_per_second()}};
}

ordered_json to_json(const pcie::Acs& acs) {
  if (acs.state == pcie::Acs::State::kNotVisible) return nullptr;
  const bool present = acs.state == pcie::Acs::State::kPresent;
  return {{"present", present},
          {"control", present ? ordered_json(acs.control) : ordered_json(nullptr)},
          {"redirects", acs.redirects()}};
}

const char* role_name(pcie::Role role) {
  static constexpr const char* kNames[] = {"endpoint", "root port", "upstream port", "downstream port", "bridge"};
  return kNames[static_cast<unsigned>(role)];
}

ordered_json to_json(const pcie::Topology& topology, const pcie::Function& function) {
  const auto address = [&](std::optional<std::size_t> i) {
    return i ? ordered_json(to_string(topology.functions[*i].address)) : ordered_json(nullptr);
  };
  ordered_json memory = nullptr;
  if (function.peer_memory) {
    memory = {{"size", function.peer_memory->size},
              {"available", function.peer_memory->available},
              {"published", function.peer_memory->published},
              {"allocatable", function.peer_memory->allocatable}};
  }
  return {{"address", to_string(function.address)},
          {"parent", address(function.parent)},
          {"root_bus", topology.root_buses[function.root_bus].name},
          {"role", role_name(function.role)},
          {"role_presumed", function.role_presumed},
          {"class", fmt::format("{:06x}", function.class_code)},
          {"vendor", fmt::format("{:04x}", function.vendor)},
          {"device", fmt::format("{:04x}", function.device)},
          {"driver", or_null(function.driver)},
          {"link", to_json(function.link)},
          {"link_possible", to_json(function.most)},
          {"numa_node", or_null(function.numa_node)},
          {"iommu_group", or_null(function.iommu_group)},
          {"iommu_type", or_null(function.iommu_type)},
          {"acs", to_json(function.acs)},
          {"peer_memory", memory}};
}

ordered_json to_json(const pcie::Topology& topology, const pcie::Controller& controller) {
  ordered_json memory = nullptr;
  if (controller.memory) {
    memory = {{"size", controller.memory->size},
              {"read_data", controller.memory->read_data},
              {"write_data", controller.memory->write_data}};
  }
  return {{"name", controller.name},
          {"transport", or_null(controller.transport)},
          {"model", or_null(controller.model)},
          {"serial", or_null(controller.serial)},
          {"firmware", or_null(controller.firmware)},
          {"state", or_null(controller.state)},
          {"subsystem", or_null(controller.subsystem)},
          {"nqn", or_null(controller.nqn)},
          {"function", controller.function ? ordered_json(to_string(topology.functions[*controller.function].address))
                                           : ordered_json(nullptr)},
          {"controller_memory_buffer", memory}};
}

ordered_json to_json(const TopologyView& view, const pcie::BlockDevice& device) {
  static constexpr const char* kKinds[] = {
      "namespace", "multipath namespace", "path", "partition", "device mapper", "md", "loop", "other"};
  ordered_json controllers = ordered_json::array();
  for (const std::size_t i : view.devices.controllers_of(device)) {
    controllers.push_back(view.devices.controllers[i].name);
  }
  return {{"name", device.name},          {"number", device.number},
          {"size", device.size},          {"kind", kKinds[static_cast<unsigned>(device.kind)]},
          {"nsid", or_null(device.nsid)}, {"label", or_null(device.label)},
          {"file", or_null(device.file)}, {"driver", or_null(device.driver)},
          {"beneath", device.beneath},    {"controllers", controllers}};
}

ordered_json to_json(const TopologyView& view, const TopologyPair& pair) {
  const auto address = [&](std::size_t i) { return to_string(view.topology.functions[i].address); };
  ordered_json providers = ordered_json::array();
  for (const pcie::TripleVerdict& provider : pair.verdict.providers) {
    providers.push_back({{"provider", address(provider.provider)},
                         {"mapping", to_string(provider.mapping)},
                         {"distance", provider.distance},
                         {"bandwidth", or_null(provider.bandwidth)},
                         {"translated", provider.translated},
                         {"reason", provider.reason},
                         {"remedy", or_null(provider.remedy)}});
  }
  const bool unknown = pair.verdict.mapping() == pcie::Mapping::kUnknown;
  return {{"source", view.disks[pair.source]->name},
          {"destination", view.disks[pair.destination]->name},
          {"way", pair.verdict.peer_to_peer ? "peer-to-peer"
                  : unknown                 ? "unknown"
                                            : "host memory"},
          {"mapping", to_string(pair.verdict.mapping())},
          {"provider", pair.verdict.peer_to_peer ? ordered_json(address(pair.verdict.providers.front().provider))
                                                 : ordered_json(nullptr)},
          {"bandwidth", or_null(pair.verdict.bandwidth)},
          {"reason", pair.verdict.reason},
          {"remedy", or_null(pair.verdict.remedy)},
          {"providers", providers}};
}

ordered_json to_json(const TopologyPath& path) {
  return {{"path", path.path},
          {"disks", path.beneath.disks},
          {"layers", path.beneath.layers},
          {"direct", path.beneath.direct},
          {"error", or_null(path.error)}};
}

}  // namespace

std::string to_text(const TopologyView& view, bool colour) {
  const Painter paint(colour);
  std::string text = header_text(view) + "\n" + tree_text(view, paint) + "\n" + paths_text(view);
  if (view.disks.size() > 1) {
    text += matrix_text(view, paint) + reasons_text(view);
  } else {
    text += view.disks.empty() ? "There are no NVMe disks.\n" : "There is one disk: nothing to copy to or from.\n";
  }
  if (view.left_out != 0) text += fmt::format("{} more disks are not judged; name those of interest.\n", view.left_out);
  std::vector<std::string> problems = view.topology.problems;
  problems.insert(problems.end(), view.devices.problems.begin(), view.devices.problems.end());
  text += list_text("Tried (a read of one block):", probe_lines(view));
  return text + list_text("Not visible:", view.topology.unseen) + list_text("Not understood:", problems);
}

ordered_json to_json(const TopologyView& view) {
  const pcie::Topology& topology = view.topology;
  ordered_json buses = ordered_json::array(), functions = buses, controllers = buses, devices = buses, copies = buses,
               paths = buses, probes = buses;
  for (const pcie::RootBus& bus : topology.root_buses) {
    buses.push_back({{"name", bus.name},
                     {"host_bridge", bus.bridge ? ordered_json(to_string(topology.functions[*bus.bridge].address))
                                                : ordered_json(nullptr)}});
  }
  for (const pcie::Function& function : topology.functions) functions.push_back(to_json(topology, function));
  for (const auto& controller : view.devices.controllers) controllers.push_back(to_json(topology, controller));
  for (const pcie::BlockDevice& device : view.devices.devices) devices.push_back(to_json(view, device));
  for (const TopologyPair& pair : view.pairs) copies.push_back(to_json(view, pair));
  for (const TopologyPath& path : view.paths) paths.push_back(to_json(path));
  for (const TopologyProbe& tried : view.probes) {
    probes.push_back({{"disk", view.disks[tried.disk]->name},
                      {"provider", to_string(topology.functions[tried.provider].address)},
                      {"error", or_null(tried.error)}});
  }
  std::vector<std::string> problems = topology.problems;
  problems.insert(problems.end(), view.devices.problems.begin(), view.devices.problems.end());
  return {{"kernel", or_null(topology.kernel)},
          {"processor", {{"vendor", or_null(topology.processor.vendor)}, {"family", topology.processor.family}}},
          {"policy", to_string(view.policy)},
          {"root_buses", buses},
          {"functions", functions},
          {"controllers", controllers},
          {"block_devices", devices},
          {"paths", paths},
          {"copies", copies},
          {"probes", probes},
          {"disks_left_out", view.left_out},
          {"not_visible", topology.unseen},
          {"not_understood", problems}};
}

}  // namespace peerlane::cli
