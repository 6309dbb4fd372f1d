// Disks as users name them: on the command line and in the configuration.
#pragma once

#include <string>
#include <string_view>

#include "admin/finding.h"
#include "target/declaration.h"

namespace peerlane::admin {

/// "DISK" or "NAME=DISK": what `peerlane serve` takes as an argument.
struct DiskArgument {
  std::string name;  // empty if none was given
  std::string disk;
};

/// Splits an argument at its first "=", if what is before it can be a name (letters, digits, ".", "_", "-"). A path
/// that looks like that is given as "./a=b".
DiskArgument parse_disk_argument(std::string_view text);

/// Whether a logical or physical block may have this size; 0 stands for the disk's own.
bool is_block_size(std::uint32_t size);

/// Checks what needs no look at the system: the form of the disk, block sizes, name.
Verdict check_lun(const target::LunDeclaration& lun);

/// Checks that the disk can be opened as it is to be used: it exists, it is a regular file or a block device, it is not
/// too small, and this user may use it. Looks at the file system.
Verdict check_disk_exists(const target::LunDeclaration& lun);

/// `disk` with a relative path taken from `directory`; disks that are no paths stay as they are.
std::string resolve_disk(const std::string& disk, const std::string& directory);

}  // namespace peerlane::admin
