#include "admin/disk.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"

namespace peerlane::admin {
namespace {

constexpr std::string_view kRamPrefix = "ram:";
constexpr std::size_t kMaxDiskNameLength = 64;

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-';
}

/// The scheme of a disk that is not a path ("ram", "nbd", "iscsi"): letters and digits before the first colon.
std::string_view scheme(std::string_view disk) {
  const auto colon = disk.find(':');
  if (colon == std::string_view::npos || colon == 0) return {};
  const std::string_view word = disk.substr(0, colon);
  const bool is_word =
      std::ranges::all_of(word, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; });
  return is_word ? word : std::string_view{};
}

Verdict check_ram(std::string_view size_text, std::uint32_t block_size) {
  const Result<std::uint64_t> size = parse_size(size_text);
  if (!size) return Problem{size.error().text(), "write for example ram:512M or ram:4G"};
  const std::uint64_t block = std::max<std::uint64_t>(block_size, 512);
  if (*size < block)
    return Problem{fmt::format("a disk of {} bytes has no block of {}", *size, block), "make it larger"};
  return std::nullopt;
}

Verdict check_name(std::string_view name) {
  const bool printable = std::ranges::all_of(name, [](char c) { return c >= 0x20 && c < 0x7f; });
  if (printable && name.size() <= kMaxDiskNameLength) return std::nullopt;
  return Problem{"the name of a disk is at most 64 printable ASCII characters", "choose another name"};
}

}  // namespace

DiskArgument parse_disk_argument(std::string_view text) {
  const auto equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  if (equals == std::string_view::npos || name.empty() || !std::ranges::all_of(name, is_name_character)) {
    return {"", std::string(text)};
  }
  return {std::string(name), std::string(text.substr(equals + 1))};
}

bool is_block_size(std::uint32_t size) {
  return size == 0 || size == 512 || size == 4096;
}

Verdict check_lun(const target::LunDeclaration& lun) {
  for (const std::uint32_t size : {lun.block_size, lun.physical_block_size}) {
    if (is_block_size(size)) continue;
    return Problem{fmt::format("a block size of {} is not possible", size),
                   "give 512 or 4096, or leave it out for the disk's own"};
  }
  if (lun.physical_block_size == 512 && lun.block_size == 4096) {
    return Problem{"a physical block of 512 bytes cannot hold a logical one of 4096",
                   "leave the physical block size out"};
  }
  if (auto problem = check_name(lun.name)) return problem;
  if (lun.disk.empty()) return Problem{"the disk is empty", "name a file, a block device, or ram:SIZE"};
  if (lun.disk.starts_with(kRamPrefix)) return check_ram(lun.disk.substr(kRamPrefix.size()), lun.block_size);
  const std::string_view word = scheme(lun.disk);
  if (!word.empty()) {
    return Problem{fmt::format("this build has no disks of the kind \"{}:\"", word),
                   "name a file, a block device, or ram:SIZE; a file of that name is written ./" + lun.disk};
  }
  return std::nullopt;
}

Verdict check_disk_exists(const target::LunDeclaration& lun) {
  if (lun.disk.starts_with(kRamPrefix)) return std::nullopt;
  struct stat status{};
  if (stat(lun.disk.c_str(), &status) != 0) {
    const int code = errno;
    const std::string why = std::system_category().message(code);
    const std::string remedy = code == ENOENT ? fmt::format("make it, for example with: truncate -s 10G {}", lun.disk)
                                              : std::string("check the path and its permissions");
    return Problem{fmt::format("the disk {} cannot be used: {}", lun.disk, why), remedy};
  }
  if (!S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode)) {
    return Problem{fmt::format("{} is neither a regular file nor a block device", lun.disk), "name one that is"};
  }
  const auto block = static_cast<off_t>(std::max<std::uint32_t>(lun.block_size, 512));
  if (S_ISREG(status.st_mode) && status.st_size < block) {
    return Problem{fmt::format("the file {} has {} bytes, less than one block of {}", lun.disk, status.st_size, block),
                   fmt::format("give it a size, for example with: truncate -s 10G {}", lun.disk)};
  }
  if (access(lun.disk.c_str(), lun.read_only ? R_OK : R_OK | W_OK) != 0) {
    return Problem{fmt::format("the disk {} cannot be used: {}", lun.disk, std::system_category().message(errno)),
                   lun.read_only ? "let this user read it" : "let this user write it, or serve it read-only"};
  }
  return std::nullopt;
}

std::string resolve_disk(const std::string& disk, const std::string& directory) {
  if (disk.empty() || directory.empty() || !scheme(disk).empty() || disk.starts_with('/')) return disk;
  return (std::filesystem::path(directory) / disk).lexically_normal();
}

}  // namespace peerlane::admin
