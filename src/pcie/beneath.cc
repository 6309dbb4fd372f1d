// From a path to the disks beneath it.
#include <algorithm>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/limits.h"
#include "pcie/block_devices.h"

namespace peerlane::pcie {
namespace {

using Kind = BlockDevice::Kind;

bool passes_peer_memory(Kind kind) {
  return kind != Kind::kMapped && kind != Kind::kRaid && kind != Kind::kLoop;
}

/// Walks down from one device. A device that was met before is not walked again, so that circles end.
void descend(const Disks& disks, std::string_view name, unsigned depth, std::set<std::string>& met, Beneath& found) {
  if (!met.emplace(name).second) return;
  const BlockDevice* const device = disks.find(name);
  const bool is_disk = device == nullptr || device->kind == Kind::kNamespaceHead || device->beneath.empty();
  if (device != nullptr) found.direct = found.direct && passes_peer_memory(device->kind);
  if (is_disk || depth == limits::kBlockLayers) {
    found.disks.emplace_back(name);
    return;
  }
  found.layers.emplace_back(name);
  for (const std::string& below : device->beneath) descend(disks, below, depth + 1, met, found);
}

std::string number_of(dev_t device) {
  return fmt::format("{}:{}", major(device), minor(device));
}

/// One line of /proc/self/mountinfo (proc(5)): where it is mounted, the file system's type, what is mounted.
struct Mount {
  std::string point;
  std::string type;
  std::string source;
};

/// The mount that a path lies on: the last one of those with the longest mount point.
std::optional<Mount> mount_of(const std::string& path) {
  std::ifstream table("/proc/self/mountinfo");
  std::optional<Mount> best;
  std::size_t read = 0;
  for (std::string line; std::getline(table, line);) {
    read += line.size();
    if (read > limits::kMountTableBytes) break;
    std::vector<std::string> words;
    for (std::size_t at = 0; at < line.size();) {
      const std::size_t end = std::min(line.find(' ', at), line.size());
      words.push_back(line.substr(at, end - at));
      at = end + 1;
    }
    const auto separator = std::ranges::find(words, "-");
    if (words.size() < 5 || words.end() - separator < 3) continue;
    const std::string& point = words[4];
    const bool covers = point == "/" || path == point || path.starts_with(point + "/");
    if (covers && (!best || point.size() >= best->point.size())) best = Mount{point, separator[1], separator[2]};
  }
  return best;
}

/// All devices of the btrfs file system that this one belongs to; only this one if there is no such.
std::vector<std::string> btrfs_devices(const Sysfs& sysfs, const std::string& name) {
  for (const std::string& id : sysfs.list("sys/fs/btrfs").value_or(std::vector<std::string>())) {
    auto members = sysfs.list(fmt::format("sys/fs/btrfs/{}/devices", id));
    if (members && std::ranges::find(*members, name) != members->end()) return std::move(*members);
  }
  return {name};
}

/// The names of the block devices that a file lies on.
Result<std::vector<std::string>> devices_of_file(const Sysfs& sysfs, const Disks& disks, const std::string& path,
                                                 const struct stat& status) {
  if (const BlockDevice* const device = disks.find_number(number_of(status.st_dev))) {
    return std::vector{device->name};
  }
  // File systems that span devices (btrfs) have a number of their own.
  char* const real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return std::unexpected(Error::from_errno(errno, path));
  const std::string absolute = real;
  free(real);  // realpath's
  const auto mount = mount_of(absolute);
  struct stat source{};
  if (mount && mount->source.starts_with("/") && stat(mount->source.c_str(), &source) == 0 && S_ISBLK(source.st_mode)) {
    const BlockDevice* const device = disks.find_number(number_of(source.st_rdev));
    if (device != nullptr) return btrfs_devices(sysfs, device->name);
  }
  return fail(ENODEV, fmt::format("{}: lies on no block device of this machine{}", path,
                                  mount ? fmt::format(" but on a file system of type {}", mount->type) : ""));
}

/// The names of the block devices that a path is, or lies on.
Result<std::vector<std::string>> devices_of(const Sysfs& sysfs, const Disks& disks, const std::string& path) {
  struct stat status{};
  if (stat(path.c_str(), &status) != 0) return std::unexpected(Error::from_errno(errno, path));
  if (!S_ISBLK(status.st_mode)) return devices_of_file(sysfs, disks, path, status);
  const BlockDevice* const device = disks.find_number(number_of(status.st_rdev));
  if (device == nullptr) return fail(ENODEV, path + ": sysfs does not know this block device");
  return std::vector{device->name};
}

/// Goes on from loop devices to what their files lie on, as far as that can be told.
void follow_loops(const Sysfs& sysfs, const Disks& disks, std::set<std::string>& met, Beneath& found) {
  for (std::size_t i = 0; i < found.disks.size();) {
    const BlockDevice* const device = disks.find(found.disks[i]);
    const auto below = device != nullptr && device->kind == Kind::kLoop && !device->file.empty()
                           ? devices_of(sysfs, disks, device->file)
                           : Result<std::vector<std::string>>(fail(ENODEV));
    if (!below) {
      ++i;
      continue;
    }
    found.layers.push_back(device->name);
    found.disks.erase(found.disks.begin() + static_cast<std::ptrdiff_t>(i));
    for (const std::string& name : *below) descend(disks, name, 0, met, found);
  }
}

}  // namespace

Beneath disks_beneath(const Disks& disks, std::string_view name) {
  Beneath found;
  std::set<std::string> met;
  descend(disks, name, 0, met, found);
  return found;
}
Result<Beneath> disks_beneath_path(const Sysfs& sysfs, const Disks& disks, const std::string& path) {
  const auto names = devices_of(sysfs, disks, path);
  if (!names) return std::unexpected(names.error());
  Beneath found;
  std::set<std::string> met;
  for (const std::string& name : *names) descend(disks, name, 0, met, found);
  follow_loops(sysfs, disks, met, found);
  return found;
}

}  // namespace peerlane::pcie
