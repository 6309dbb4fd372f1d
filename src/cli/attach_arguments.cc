#include "cli/attach_arguments.h"

#include <CLI/CLI.hpp>

namespace peerlane::cli {
namespace {

constexpr const char* kAttachFooter =
    R"(Prints the name of the block device, /dev/ublkbN, as soon as it can be used. Needs root and the kernel's ublk
(modprobe ublk_drv, Linux 6.5 or later). The disk is served in the background until `peerlane detach` or SIGTERM, which
do nothing to a disk that is in use. When the serving process dies, requests wait: the same command again goes on.

Passwords are better given by PEERLANE_CHAP_SECRET_FILE than in a URL.

Exit codes: 0 done, 1 it cannot be attached, 2 the command line is wrong.

Examples:
  peerlane attach iscsi://192.0.2.7/iqn.2026-11.dev.peerlane:store/0
  peerlane attach --queues 2 --read-only /srv/data.img
  peerlane attach --list
)";

constexpr const char* kDetachFooter =
    R"(Exit codes: 0 done, 1 it is in use or is no disk of ours, 2 the command line is wrong.

Example: peerlane detach /dev/ublkb0
)";

}  // namespace

void add_attach_options(CLI::App& command, AttachArguments& arguments) {
  command.footer(kAttachFooter);
  auto* const list = command.add_flag("--list", arguments.list, "Show the disks that are attached, and exit");
  auto* const disk = command
                         .add_option("DISK", arguments.disk,
                                     "iscsi://[USER@]HOST[:PORT]/TARGET/LUN, PATH of a file or block device, or "
                                     "ram:SIZE")
                         ->type_name("");
  disk->excludes(list);
  command
      .add_option(
          "--queues", arguments.queues,
          "Queues, each with a thread and, over iSCSI, a session of its own (default: one per processor, at most "
          "4)")
      ->check(CLI::Range(1u, limits::kMostAttachQueues).description(""))
      ->type_name("N");
  command.add_option("--depth", arguments.depth, "Requests of a queue under way (default: 128)")
      ->check(CLI::Range(1u, limits::kMostAttachDepth).description(""))
      ->type_name("N");
  command.add_flag("--read-only", arguments.read_only, "Refuse writes");
  command.add_flag("--no-direct", arguments.no_direct, "Files go through the kernel's page cache instead of O_DIRECT");
  command.add_flag("--foreground", arguments.foreground, "Serve in this process, and log to standard error");
  command.add_flag("--json", arguments.json, "Print JSON");
  command.add_option("--log-file", arguments.log_file, "Where to log in the background (default: nowhere)")
      ->type_name("FILE");
  command.add_option("--log-level", arguments.log_level, "Lowest level that is logged (default: info)")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}).description(""))
      ->type_name("debug|info|warning|error");
  command.callback([&arguments] {
    if (!arguments.list && arguments.disk.empty()) throw CLI::RequiredError("DISK");
  });
}

void add_detach_options(CLI::App& command, DetachArguments& arguments) {
  command.footer(kDetachFooter);
  command.add_option("DEVICE", arguments.disk, "/dev/ublkbN, as `peerlane attach` printed it")
      ->type_name("")
      ->required();
  command.add_flag("--force", arguments.force, "Also when it is in use: whoever uses it gets errors");
}

}  // namespace peerlane::cli
