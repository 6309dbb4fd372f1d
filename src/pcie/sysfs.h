// Linux's sysfs (and the little of /proc that is wanted), below any root directory, so that a tree that was kept from
// another machine can be read like this machine's own. Paths are given without the root, and without a slash in front:
// "sys/bus/pci/devices".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace peerlane::pcie {

class Sysfs {
 public:
  /// `root` is a directory; nothing is read yet.
  explicit Sysfs(std::string root);

  /// A file's lines, at most limits::kSysfsFileBytes of them, without the blanks at their ends. What is no printable
  /// ASCII becomes '?' (a tab: a blank), since it may end on a terminal. Errors: the system's, EINVAL for what is no
  /// regular file.
  Result<std::vector<std::string>> lines(std::string_view path) const;

  /// A file's first line; empty if it has none. Errors: those of lines().
  Result<std::string> text(std::string_view path) const;

  /// A file's bytes, at most limits::kSysfsFileBytes of them.
  Result<std::vector<std::uint8_t>> bytes(std::string_view path) const;

  /// A file that is one number, decimal or hexadecimal with 0x. Errors: those of text(); EINVAL for anything else.
  Result<std::uint64_t> number(std::string_view path) const;

  /// The names in a directory, in order, at most limits::kSysfsEntries; those with unprintable characters are left out.
  /// Errors: the system's.
  Result<std::vector<std::string>> list(std::string_view directory) const;

  /// Where links lead in the end, without the root. Errors: the system's; EXDEV if that is outside of the root, EINVAL
  /// for unprintable names.
  Result<std::string> resolve(std::string_view path) const;

  bool exists(std::string_view path) const;

  /// The path with the root.
  std::string full(std::string_view path) const;

 private:
  std::string root_;  // without a slash at its end
};

/// The last component of a path.
std::string_view last_name(std::string_view path);

}  // namespace peerlane::pcie
