#include "pcie/topology.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"

namespace peerlane::pcie {
namespace {

constexpr std::string_view kDevices = "sys/bus/pci/devices";

/// Reads attributes of one function. One that is not there is left as it is; trouble becomes a sentence.
class Attributes {
 public:
  Attributes(const Sysfs& sysfs, std::string directory, std::vector<std::string>& problems)
      : sysfs_(sysfs), directory_(std::move(directory)), problems_(problems) {}

  std::optional<std::string> text(std::string_view name) { return keep(sysfs_.text(path(name))); }

  /// A number of at most `most`.
  std::optional<std::uint64_t> number(std::string_view name, std::uint64_t most = UINT64_MAX) {
    const auto value = keep(sysfs_.number(path(name)));
    if (value && *value > most) {
      complain(name, fmt::format("{} is too large", *value));
      return std::nullopt;
    }
    return value;
  }

  template <typename T>
  T number_or(std::string_view name, T otherwise) {
    return static_cast<T>(number(name, std::numeric_limits<T>::max()).value_or(otherwise));
  }

  /// The last component of where a link leads.
  std::string link_name(std::string_view name) {
    const auto target = sysfs_.resolve(path(name));
    return target ? std::string(last_name(*target)) : std::string();
  }

  std::string path(std::string_view name) const { return (directory_ + "/").append(name); }
  const Sysfs& sysfs() const { return sysfs_; }

  void complain(std::string_view name, std::string_view what) {
    if (problems_.size() < limits::kTopologyProblems) problems_.push_back(fmt::format("{}: {}", path(name), what));
  }

 private:
  template <typename T>
  std::optional<T> keep(Result<T> result) {
    if (result) return std::move(*result);
    const int code = result.error().code;
    if (code != ENOENT && problems_.size() < limits::kTopologyProblems) problems_.push_back(result.error().text());
    return std::nullopt;
  }

  const Sysfs& sysfs_;
  std::string directory_;
  std::vector<std::string>& problems_;
};

Link read_link(Attributes& attributes, std::string_view which) {
  Link link;
  const std::string rate_name = fmt::format("{}_link_speed", which);
  const auto text = attributes.text(rate_name);
  if (!text) return link;
  const auto rate = parse_link_rate(*text);
  if (!rate) attributes.complain(rate_name, fmt::format("\"{}\" is no link speed", text->substr(0, 40)));
  // 255 and 0 stand for a link that is down or not known.
  const auto lanes = attributes.number(fmt::format("{}_link_width", which), 255).value_or(0);
  if (rate && lanes <= 32) link = {*rate, static_cast<std::uint32_t>(lanes)};
  return link.known() ? link : Link{};
}

std::optional<PeerMemory> read_peer_memory(Attributes& attributes) {
  const auto size = attributes.number("p2pmem/size");
  if (!size) return std::nullopt;
  return PeerMemory{*size, std::min(*size, attributes.number_or<std::uint64_t>("p2pmem/available", 0)),
                    attributes.number("p2pmem/published", 1) == 1u,
                    attributes.sysfs().exists(attributes.path("p2pmem/allocate"))};
}

void read_configuration(Attributes& attributes, Function& function) {
  const auto bytes = attributes.sysfs().bytes(attributes.path("config"));
  if (!bytes) return;  // as if nothing of it were visible
  const ConfigSpace configuration = decode_config_space(*bytes);
  function.acs = configuration.acs;
  function.role_presumed = !configuration.role && function.is_bridge();
  function.role = configuration.role.value_or(Role::kEndpoint);
}

Function read_function(const Sysfs& sysfs, const Address& address, std::string path,
                       std::vector<std::string>& problems) {
  Attributes attributes(sysfs, path, problems);
  Function function;
  function.address = address;
  function.path = std::move(path);
  function.class_code = attributes.number_or<std::uint32_t>("class", 0);
  function.vendor = attributes.number_or<std::uint16_t>("vendor", 0);
  function.device = attributes.number_or<std::uint16_t>("device", 0);
  function.driver = attributes.link_name("driver");
  function.link = read_link(attributes, "current");
  function.most = read_link(attributes, "max");
  // -1 where there are no nodes, which is no number here and no problem.
  if (const auto node = sysfs.number(attributes.path("numa_node"))) function.numa_node = static_cast<unsigned>(*node);
  if (const std::string group = attributes.link_name("iommu_group"); !group.empty()) {
    function.iommu_group = static_cast<unsigned>(std::strtoul(group.c_str(), nullptr, 10));
    function.iommu_type = attributes.text("iommu_group/type").value_or("");
  }
  function.peer_memory = read_peer_memory(attributes);
  function.role_presumed = function.is_bridge();
  read_configuration(attributes, function);
  return function;
}

/// A root bus is a directory pciDDDD:BB; between it and a function there are only the functions above that one.
bool is_root_bus(std::string_view name) {
  return name.starts_with("pci") && parse_address(fmt::format("{}:00.0", name.substr(3))).has_value();
}

/// Where a function's path says that it is: below another function, or on a root bus.
struct Place {
  std::optional<Address> parent;
  std::string root_bus;  // empty if there is none
};

Place place_of(std::string_view path) {
  Place place;
  for (bool first = true; !path.empty(); first = false) {
    const std::size_t slash = path.rfind('/');
    const std::string_view name = last_name(path);
    if (is_root_bus(name)) {
      place.root_bus = name;
      return place;
    }
    const auto address = parse_address(name);
    if (!first && address && !place.parent) place.parent = address;
    path = slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
  }
  return place;
}

/// Puts functions below their parents and on their root buses; those without a root bus are left out.
void connect(Topology& topology) {
  std::map<std::string, std::size_t> buses;
  std::vector<Place> places;
  std::erase_if(topology.functions, [&](const Function& function) {
    Place place = place_of(function.path);
    const bool lost = place.root_bus.empty();
    if (lost) {
      topology.problems.push_back(fmt::format("{}: is on no root bus", function.path));
    } else {
      buses.try_emplace(place.root_bus, 0);
      places.push_back(std::move(place));
    }
    return lost;
  });
  for (auto& [name, index] : buses) {
    index = topology.root_buses.size();
    topology.root_buses.push_back({name, std::nullopt});
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    topology.functions[i].root_bus = buses[places[i].root_bus];
    if (places[i].parent) topology.functions[i].parent = topology.find(*places[i].parent);
  }
}

/// What a bridge must be by its place, where its configuration space does not say.
Role presumed_role(const Topology& topology, const Function& function) {
  if (!function.parent) return Role::kRootPort;
  const Role above = topology.functions[*function.parent].role;
  if (above == Role::kUpstreamPort) return Role::kDownstreamPort;
  return above == Role::kBridge ? Role::kBridge : Role::kUpstreamPort;
}

/// The first function on a root bus, if it is one by which Linux tells host bridges apart.
std::optional<std::size_t> host_bridge(const Topology& topology, std::size_t root_bus) {
  for (std::size_t i = 0; i < topology.functions.size(); ++i) {
    const Function& function = topology.functions[i];
    if (function.root_bus != root_bus || function.parent) continue;
    const bool first = function.address.device == 0 && function.address.function == 0;
    return first || function.role == Role::kRootPort ? std::optional(i) : std::nullopt;
  }
  return std::nullopt;
}

void read_host(const Sysfs& sysfs, Topology& topology) {
  if (auto release = sysfs.text("proc/sys/kernel/osrelease")) topology.kernel = *release;
  const auto lines = sysfs.lines("proc/cpuinfo").value_or(std::vector<std::string>());
  // "cpu family      : 25", of the first processor.
  const auto value = [&lines](std::string_view name) -> std::string {
    for (const std::string& line : lines) {
      const std::size_t colon = line.find(": ");
      if (line.starts_with(name) && colon != std::string::npos) return line.substr(colon + 2);
    }
    return {};
  };
  topology.processor = {value("vendor_id"),
                        static_cast<unsigned>(std::strtoul(value("cpu family").c_str(), nullptr, 10))};
}

void note_unseen(Topology& topology) {
  const auto hidden = std::ranges::count_if(
      topology.functions, [](const Function& function) { return function.acs.state == Acs::State::kNotVisible; });
  if (hidden != 0) {
    topology.unseen.push_back(fmt::format(
        "Access Control Services of {} PCI functions: the kernel shows them to root only (CAP_SYS_ADMIN)", hidden));
  }
}

}  // namespace

std::optional<std::size_t> Topology::find(const Address& address) const {
  const auto at = std::ranges::lower_bound(functions, address, {}, &Function::address);
  if (at == functions.end() || at->address != address) return std::nullopt;
  return static_cast<std::size_t>(at - functions.begin());
}

Topology read_topology(const Sysfs& sysfs) {
  Topology topology;
  read_host(sysfs, topology);
  const auto names = sysfs.list(kDevices);
  if (!names) {
    topology.problems.push_back(names.error().text());
    return topology;
  }
  for (const std::string& name : *names) {
    const auto address = parse_address(name);
    auto path = sysfs.resolve(fmt::format("{}/{}", kDevices, name));
    if (!address || !path || last_name(*path) != name) {
      topology.problems.push_back(fmt::format("{}/{}: no PCI function", kDevices, name));
      continue;
    }
    topology.functions.push_back(read_function(sysfs, *address, std::move(*path), topology.problems));
  }
  std::ranges::sort(topology.functions, {}, &Function::address);
  connect(topology);
  // Bridges have smaller bus numbers than what is below them: their roles are known by then.
  for (Function& function : topology.functions) {
    if (function.role_presumed) function.role = presumed_role(topology, function);
  }
  for (std::size_t i = 0; i < topology.root_buses.size(); ++i) topology.root_buses[i].bridge = host_bridge(topology, i);
  note_unseen(topology);
  topology.problems.resize(std::min(topology.problems.size(), limits::kTopologyProblems));
  return topology;
}

}  // namespace peerlane::pcie
