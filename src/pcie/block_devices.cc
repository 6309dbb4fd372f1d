#include "pcie/block_devices.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"

namespace peerlane::pcie {
namespace {

using Kind = BlockDevice::Kind;

/// Takes `word` and the decimal number behind it off the front of a name.
std::optional<unsigned> take(std::string_view& name, std::string_view word) {
  if (!name.starts_with(word)) return std::nullopt;
  unsigned value = 0;
  const char* const begin = name.data() + word.size();
  const auto [end, error] = std::from_chars(begin, name.data() + name.size(), value);
  if (error != std::errc()) return std::nullopt;
  name.remove_prefix(static_cast<std::size_t>(end - name.data()));
  return value;
}

/// The head that a path leads to: nvme0c1n2 is controller 1's way to nvme0n2. Empty for other names.
std::string head_of_path(std::string_view name) {
  const auto subsystem = take(name, "nvme");
  if (!subsystem || !take(name, "c")) return {};
  const auto head = take(name, "n");
  return head && name.empty() ? fmt::format("nvme{}n{}", *subsystem, *head) : std::string();
}

bool is_namespace(std::string_view name) {
  return take(name, "nvme") && take(name, "n") && name.empty();
}

/// The deepest PCI function on a path of sysfs.
std::optional<std::size_t> function_above(const Topology& topology, std::string_view path) {
  while (!path.empty()) {
    if (const auto address = parse_address(last_name(path))) return topology.find(*address);
    const std::size_t slash = path.rfind('/');
    path = slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
  }
  return std::nullopt;
}

std::optional<ControllerMemory> read_controller_memory(const Sysfs& sysfs, const std::string& directory) {
  // Newer kernels have a file for the register, older ones a line in `cmb`: "cmbsz  : x0400001f".
  if (const auto value = sysfs.number(directory + "/cmbsz"); value && *value <= UINT32_MAX) {
    return decode_cmbsz(static_cast<std::uint32_t>(*value));
  }
  for (const std::string& line : sysfs.lines(directory + "/cmb").value_or(std::vector<std::string>())) {
    const std::size_t digits = line.find('x');
    if (!line.starts_with("cmbsz") || digits == std::string::npos) continue;
    std::uint32_t value = 0;
    const auto parsed = std::from_chars(line.data() + digits + 1, line.data() + line.size(), value, 16);
    if (parsed.ec == std::errc()) return decode_cmbsz(value);
  }
  return std::nullopt;
}

Controller read_controller(const Sysfs& sysfs, const Topology& topology, const std::string& name) {
  const std::string directory = "sys/class/nvme/" + name;
  const auto text = [&](std::string_view attribute) {
    return sysfs.text((directory + "/").append(attribute)).value_or("");
  };
  Controller controller{.name = name,
                        .transport = text("transport"),
                        .model = text("model"),
                        .serial = text("serial"),
                        .firmware = text("firmware_rev"),
                        .state = text("state"),
                        .subsystem = {},
                        .nqn = text("subsysnqn"),
                        .function = {},
                        .memory = read_controller_memory(sysfs, directory)};
  if (controller.transport == "pcie") {
    const auto path = sysfs.resolve(directory);
    if (path) controller.function = function_above(topology, *path);
  }
  return controller;
}

/// Which subsystem each controller belongs to.
void read_subsystems(const Sysfs& sysfs, std::vector<Controller>& controllers) {
  const auto subsystems = sysfs.list("sys/class/nvme-subsystem");
  if (!subsystems) return;
  for (const std::string& subsystem : *subsystems) {
    for (Controller& controller : controllers) {
      if (sysfs.exists(fmt::format("sys/class/nvme-subsystem/{}/{}", subsystem, controller.name))) {
        controller.subsystem = subsystem;
      }
    }
  }
}

Kind kind_of(const Sysfs& sysfs, const std::string& name, const std::string& directory) {
  if (sysfs.exists(directory + "/partition")) return Kind::kPartition;
  if (!head_of_path(name).empty()) return Kind::kNamespacePath;
  if (sysfs.exists(directory + "/dm")) return Kind::kMapped;
  if (sysfs.exists(directory + "/md")) return Kind::kRaid;
  if (sysfs.exists(directory + "/loop")) return Kind::kLoop;
  if (!is_namespace(name)) return Kind::kOther;
  return directory.find("/nvme-subsys") == std::string::npos ? Kind::kNamespace : Kind::kNamespaceHead;
}

/// The controller that a namespace or path lies below: the directory above its own.
std::optional<std::size_t> controller_above(const Disks& disks, const std::string& directory) {
  const std::string_view above = std::string_view(directory).substr(0, directory.rfind('/'));
  const auto at = std::ranges::find(disks.controllers, last_name(above), &Controller::name);
  if (at == disks.controllers.end()) return std::nullopt;
  return static_cast<std::size_t>(at - disks.controllers.begin());
}

/// A path, in whatever characters; empty if there is none.
std::string read_backing_file(const Sysfs& sysfs, const std::string& directory) {
  const auto bytes = sysfs.bytes(directory + "/loop/backing_file");
  std::string path = bytes ? std::string(bytes->begin(), bytes->end()) : std::string();
  if (path.ends_with('\n')) path.pop_back();
  return path;
}

BlockDevice read_device(const Sysfs& sysfs, const Topology& topology, const Disks& disks, const std::string& name,
                        const std::string& directory) {
  BlockDevice device{.name = name,
                     .number = sysfs.text(directory + "/dev").value_or(""),
                     .kind = kind_of(sysfs, name, directory),
                     .nsid = {},
                     .label = sysfs.text(directory + "/dm/name").value_or(""),
                     .file = read_backing_file(sysfs, directory),
                     .driver = {},
                     .beneath = {},
                     .controller = {},
                     .function = {}};
  // Sectors of 512 bytes, whatever the disk's blocks are.
  const std::uint64_t sectors = sysfs.number(directory + "/size").value_or(0);
  device.size = sectors <= UINT64_MAX / 512 ? sectors * 512 : 0;
  if (const auto nsid = sysfs.number(directory + "/nsid"); nsid && *nsid <= UINT32_MAX) {
    device.nsid = static_cast<std::uint32_t>(*nsid);
  }
  if (device.kind == Kind::kPartition) {
    device.beneath = {std::string(last_name(std::string_view(directory).substr(0, directory.rfind('/'))))};
  } else if (device.kind == Kind::kMapped || device.kind == Kind::kRaid) {
    device.beneath = sysfs.list(directory + "/slaves").value_or(std::vector<std::string>());
  } else if (device.kind == Kind::kNamespace || device.kind == Kind::kNamespacePath) {
    device.controller = controller_above(disks, directory);
  } else if (device.kind == Kind::kOther) {
    device.function = function_above(topology, directory);
    const auto driver = sysfs.resolve(directory + "/device/driver");
    if (driver) device.driver = last_name(*driver);
  }
  return device;
}

/// Heads are made of their paths, which say so by their names.
void connect_heads(std::vector<BlockDevice>& devices) {
  for (const BlockDevice& path : devices) {
    if (path.kind != Kind::kNamespacePath) continue;
    const auto head = std::ranges::find(devices, head_of_path(path.name), &BlockDevice::name);
    if (head != devices.end()) head->beneath.push_back(path.name);
  }
}

}  // namespace

ControllerMemory decode_cmbsz(std::uint32_t value) {
  const std::uint32_t unit = value >> 8 & 0xf;  // SZU: 4 KiB, and 16 times as much for each step, up to 64 GiB
  const std::uint64_t size = unit <= 6 ? std::uint64_t{value >> 12} << (12 + 4 * unit) : 0;
  return {size, (value & 1u << 3) != 0, (value & 1u << 4) != 0};
}

const BlockDevice* Disks::find(std::string_view name) const {
  const auto at = std::ranges::find(devices, name, &BlockDevice::name);
  return at == devices.end() ? nullptr : &*at;
}

const BlockDevice* Disks::find_number(std::string_view number) const {
  const auto at = std::ranges::find(devices, number, &BlockDevice::number);
  return at == devices.end() ? nullptr : &*at;
}

std::vector<std::size_t> Disks::controllers_of(const BlockDevice& device) const {
  std::vector<std::size_t> found;
  if (device.controller) found.push_back(*device.controller);
  if (device.kind != Kind::kNamespaceHead) return found;
  for (const std::string& name : device.beneath) {
    const BlockDevice* const path = find(name);
    if (path != nullptr && path->controller) found.push_back(*path->controller);
  }
  return found;
}

Disks read_disks(const Sysfs& sysfs, const Topology& topology) {
  Disks disks;
  // Neither directory is there on a machine without such devices.
  for (const std::string& name : sysfs.list("sys/class/nvme").value_or(std::vector<std::string>())) {
    disks.controllers.push_back(read_controller(sysfs, topology, name));
  }
  read_subsystems(sysfs, disks.controllers);
  for (const std::string& name : sysfs.list("sys/class/block").value_or(std::vector<std::string>())) {
    const auto directory = sysfs.resolve("sys/class/block/" + name);
    if (directory) {
      disks.devices.push_back(read_device(sysfs, topology, disks, name, *directory));
    } else if (disks.problems.size() < limits::kTopologyProblems) {
      disks.problems.push_back(directory.error().text());
    }
  }
  connect_heads(disks.devices);
  return disks;
}

}  // namespace peerlane::pcie
