#include "pcie/disk_part.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace peerlane::pcie {
namespace {

constexpr std::uint64_t kSectorBytes = 512;  // the unit of sysfs, whatever the disk's blocks are

bool is_hexadecimal(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// What comes behind a prefix, if that is there.
std::optional<std::string_view> behind(std::string_view text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return std::nullopt;
  return text.substr(prefix.size());
}

/// Not only zeroes, and not only ones: what disks have that nobody has given a name.
bool says_something(std::string_view digits) {
  const auto only = [&](char digit) {
    return std::ranges::all_of(digits, [digit](char c) { return c == digit || c == '-'; });
  };
  return !only('0') && !only('f');
}

bool is_uuid(std::string_view text) {
  constexpr std::string_view kShape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  return std::ranges::equal(text, kShape, [](char c, char shape) {
    return shape == '-' ? c == '-' : is_hexadecimal(std::string_view(&c, 1));
  });
}

/// The identity of the disk of a directory of sysfs; empty: it has none.
std::string identity_of(const Sysfs& sysfs, const std::string& directory) {
  // Of an NVMe namespace; of a SCSI disk.
  for (const char* const attribute : {"/wwid", "/device/wwid"}) {
    std::string identity = sysfs.text(directory + attribute).value_or("");
    std::ranges::transform(identity, identity.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (is_world_wide(identity)) return identity;
  }
  return {};
}

/// The same for a directory of sysfs.
Result<DiskPart> part_in(const Sysfs& sysfs, const std::string& directory) {
  const std::string name(last_name(directory));
  DiskPart part;
  std::string disk = directory;
  if (sysfs.exists(directory + "/partition")) {
    const auto start = sysfs.number(directory + "/start");
    if (!start || *start > UINT64_MAX / kSectorBytes) return fail(ENODEV, "nobody knows where " + name + " begins");
    part.offset = *start * kSectorBytes;
    disk = directory.substr(0, directory.rfind('/'));
  }
  part.identity = identity_of(sysfs, disk);
  if (part.identity.empty()) {
    return fail(ENODEV, fmt::format("{} has no identity that no other disk has", last_name(disk)));
  }
  return part;
}

}  // namespace

bool is_world_wide(std::string_view identity) {
  if (const auto eui = behind(identity, "eui.")) {
    return (eui->size() == 16 || eui->size() == 32) && is_hexadecimal(*eui) && says_something(*eui);
  }
  if (const auto naa = behind(identity, "naa.")) {
    if (naa->empty() || !is_hexadecimal(*naa) || !says_something(naa->substr(1))) return false;
    const char kind = naa->front();
    return kind == '6' ? naa->size() == 32 : (kind == '2' || kind == '5') && naa->size() == 16;
  }
  const auto uuid = behind(identity, "uuid.");
  return uuid && is_uuid(*uuid) && says_something(*uuid);
}

Result<DiskPart> disk_part(const Sysfs& sysfs, const std::string& number) {
  const auto directory = sysfs.resolve("sys/dev/block/" + number);
  if (!directory) return fail(ENODEV, fmt::format("sysfs does not know the block device {}", number));
  return part_in(sysfs, *directory);
}

std::vector<std::string> block_devices_of(const Sysfs& sysfs, const DiskPart& part) {
  std::vector<std::string> found;
  for (std::string& name : sysfs.list("sys/class/block").value_or(std::vector<std::string>())) {
    const auto directory = sysfs.resolve("sys/class/block/" + name);
    // One controller's way to a namespace of several has no device of its own.
    if (!directory || sysfs.number(*directory + "/hidden").value_or(0) != 0) continue;
    const auto own = part_in(sysfs, *directory);
    if (own && *own == part) found.push_back(std::move(name));
  }
  return found;
}

}  // namespace peerlane::pcie
