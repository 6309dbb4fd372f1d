// What the nbdkit plugin is told on nbdkit's command line, and the disk that this comes to.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "block/blocking_device.h"
#include "initiator/disk.h"

namespace peerlane::nbdkit {

/// For `nbdkit peerlane --help`.
inline constexpr const char* kHelp =
    "[url=]iscsi://HOST[:PORT]/TARGET/LUN  (required) The logical unit.\n"
    "                            With ?paths=all or ?sessions=N on several paths.\n"
    "queue-depth=N               Commands of a session in flight (128).\n"
    "replacement-timeout=SECONDS How long requests wait for a lost connection (120).\n"
    "initiator-name=IQN          Our iSCSI name.\n"
    "chap-user=NAME, chap-secret=SECRET|-|+FILE|-FD\n"
    "                            What to log in with; else PEERLANE_CHAP_USER and others in the environment.\n"
    "target-chap-user=NAME, target-chap-secret=SECRET|-|+FILE|-FD\n"
    "                            What the target must prove itself with.\n"
    "check=yes|no                Open the logical unit once at the start, to see that it is there (yes).";

struct Settings {
  std::string url;
  bool check = true;  // the disk is opened once before clients are let in
  initiator::DiskOptions options;

  /// Takes a parameter. Errors, EINVAL, with a sentence: there is none of this name, or it has no such value.
  Result<void> set(std::string_view key, std::string_view value);

  /// After the last one. Errors, EINVAL: there is no URL, or it names no logical unit, or a user has no secret.
  Result<void> complete();

  /// Opens the disk, on as many paths as the URL says.
  Result<std::unique_ptr<block::BlockingDevice>> open(bool read_only) const;
};

}  // namespace peerlane::nbdkit
