#include "cli/command_line.h"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "base/limits.h"
#include "cli/version.h"

namespace peerlane::cli {
namespace {

constexpr const char* kPeerlaneFooter =
    R"(Exit codes: 0 done, 1 something failed while running, 2 the command line or the configuration is wrong.
`peerlane COMMAND --help` explains a command. Manual: peerlane(1).
)";

constexpr const char* kServeFooter =
    R"(Prints the URL of each LUN to standard output as soon as it can be used, one a line, and logs to standard error.
Ends on SIGTERM or SIGINT: initiators are asked to log out and get a few seconds; a second SIGINT ends it at once.
Exit codes: 0 stopped as asked, 1 it could not start or go on, 2 the command line or the configuration is wrong.

Examples:
  peerlane serve ram:1G
      A disk of 1 GiB in memory, for initiators of this host.
  peerlane serve data=/srv/data.img /dev/vg0/lv1
      A file as LUN 0, named "data", and a block device as LUN 1.
  peerlane serve --listen 192.0.2.7 --chap-user backup --chap-secret-file /etc/peerlane/backup.secret /srv/data.img
      For other hosts, which must know the account's secret.
  peerlane serve --listen 127.0.0.1:0 --listen [::1]:0 ram:64M
      On two ports that the system chooses; the URLs tell which.
  peerlane serve --config /etc/peerlane.toml
      What the file says: several targets, portals, access lists; see `peerlane check`.
)";

constexpr const char* kCheckFooter = R"(Exit codes: 0 the file can be served, 2 it cannot.
Example: peerlane check /etc/peerlane.toml
)";

void add_network_options(CLI::App& command, ServeArguments& arguments) {
  const std::string group = "Network";
  command
      .add_option("--listen", arguments.listen,
                  "Numeric address to listen on, IPv6 in brackets; may be repeated; port 0: the system chooses one "
                  "(default: 127.0.0.1:3260)")
      ->type_name("ADDRESS[:PORT]")
      ->allow_extra_args(false)
      ->group(group);
  command.add_option("--target-name", arguments.target_name, "iSCSI name (default: iqn.2026-11.dev.peerlane:HOSTNAME)")
      ->type_name("NAME")
      ->group(group);
  command.add_option("--alias", arguments.alias, "A name of the target for people")->type_name("TEXT")->group(group);
  command
      .add_option("--threads", arguments.threads,
                  "Threads that serve; connections are spread over them (default: one per processor)")
      ->check(CLI::Range(1u, limits::kThreads).description(""))
      ->type_name("N")
      ->group(group);
  command
      .add_option("--poll", arguments.poll,
                  "How long a thread looks for work before it sleeps: shorter answers for busy processors (default: 0)")
      ->check(CLI::Range(0u, static_cast<unsigned>(limits::kMaxPoll.count())).description(""))
      ->type_name("MICROSECONDS")
      ->group(group);
}

void add_disk_options(CLI::App& command, ServeArguments& arguments) {
  const std::string group = "Disks";
  command.add_flag("--read-only", arguments.read_only, "Refuse writes")->group(group);
  command
      .add_option("--block-size", arguments.block_size,
                  "Logical block size (default: the disk's own, 512 for files and RAM)")
      ->check(CLI::IsMember({512, 4096}).description(""))
      ->type_name("512|4096")
      ->group(group);
  command
      .add_option("--physical-block-size", arguments.physical_block_size,
                  "Physical block size that initiators are told (default: the disk's own)")
      ->check(CLI::IsMember({512, 4096}).description(""))
      ->type_name("512|4096")
      ->group(group);
  command.add_flag("--write-through", arguments.write_through, "Answer a write when it is on stable storage")
      ->group(group);
  command.add_flag("--no-direct", arguments.no_direct, "Go through the kernel's page cache instead of O_DIRECT")
      ->group(group);
  command
      .add_option(
          "--p2p", arguments.p2p,
          "Between which disks third-party copies may go over the bus: none, those behind one switch, or all for "
          "which the kernel does it, host bridges included (default: same-switch)")
      ->check(CLI::IsMember({"off", "same-switch", "kernel"}).description(""))
      ->type_name("off|same-switch|kernel")
      ->group(group);
  command
      .add_option("--state", arguments.state,
                  "Directory for what survives a restart, such as persistent reservations (default: "
                  "/var/lib/peerlane for root, else ~/.local/state/peerlane)")
      ->type_name("DIR")
      ->group(group);
}

void add_cache_options(CLI::App& command, ServeArguments& arguments) {
  const std::string group = "Cache";
  command
      .add_option(
          "--cache", arguments.cache,
          "Keep what is read and written in memory; write-back: a write may stay there until the initiator asks "
          "for it to reach the disk (default: off)")
      ->check(CLI::IsMember({"off", "write-through", "write-back"}).description(""))
      ->type_name("off|write-through|write-back")
      ->group(group);
  command.add_option("--cache-memory", arguments.cache_memory, "Memory of the cache of all disks (default: 256M)")
      ->type_name("SIZE")
      ->group(group);
  command
      .add_option("--read-ahead", arguments.read_ahead,
                  "How far the cache reads ahead of sequential readers; 0: not at all (default: 1M)")
      ->type_name("SIZE")
      ->group(group);
}

void add_access_options(CLI::App& command, ServeArguments& arguments) {
  const std::string group = "Access";
  command
      .add_option("--allow-initiator", arguments.initiators,
                  "Admit only this initiator name, or with a trailing * all that begin so; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false)
      ->group(group);
  command
      .add_option("--allow-address", arguments.addresses,
                  "Admit only initiators from this numeric address or prefix (192.0.2.0/24); may be repeated")
      ->type_name("ADDRESS")
      ->allow_extra_args(false)
      ->group(group);
  command.add_option("--chap-user", arguments.account.name, "Initiators must log in as this account, with CHAP")
      ->type_name("NAME")
      ->group(group);
  command
      .add_option("--chap-secret-file", arguments.account.secret_file,
                  "File with the account's secret (12 bytes or more)")
      ->type_name("FILE")
      ->group(group);
  command
      .add_option("--chap-secret-env", arguments.account.secret_variable,
                  "Environment variable with the account's secret")
      ->type_name("VARIABLE")
      ->group(group);
  command.add_option("--mutual-user", arguments.mutual.name, "Account as which the target proves itself to initiators")
      ->type_name("NAME")
      ->group(group);
  command.add_option("--mutual-secret-file", arguments.mutual.secret_file, "File with the target's own secret")
      ->type_name("FILE")
      ->group(group);
  command
      .add_option("--mutual-secret-env", arguments.mutual.secret_variable,
                  "Environment variable with the target's secret")
      ->type_name("VARIABLE")
      ->group(group);
  command
      .add_flag("--allow-anonymous", arguments.allow_anonymous,
                "Listen beyond 127.0.0.1 and ::1 although no authentication is asked for")
      ->group(group);
}

void add_output_options(CLI::App& command, ServeArguments& arguments) {
  const std::string group = "Output";
  command.add_flag("--json", arguments.json, "Print a JSON object per LUN instead of its URL")->group(group);
  command.add_option("--log-level", arguments.log_level, "Lowest level that is logged (default: info)")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}).description(""))
      ->type_name("debug|info|warning|error")
      ->group(group);
  command.add_flag("--json-log", arguments.json_log, "Log JSON objects, one a line")->group(group);
}

void add_serve_options(CLI::App& command, ServeArguments& arguments) {
  command.footer(kServeFooter);
  command
      .add_option(
          "DISK", arguments.disks,
          "PATH of a file or block device, or ram:SIZE; NAME=DISK names it. The first is LUN 0, the next LUN 1, ...")
      ->type_name("");
  command.add_option("--config", arguments.config, "Serve what this TOML file says, instead of DISKs and most options")
      ->type_name("FILE");
  add_network_options(command, arguments);
  add_disk_options(command, arguments);
  add_cache_options(command, arguments);
  add_access_options(command, arguments);
  add_output_options(command, arguments);
}

void add_check_options(CLI::App& command, CheckArguments& arguments) {
  command.footer(kCheckFooter);
  command.add_option("FILE", arguments.file, "The configuration file (TOML)")->required();
  command.add_flag("--json", arguments.json, "Print the findings as one JSON object");
}

}  // namespace

std::expected<CommandLine, Answer> parse_command_line(const std::vector<std::string>& arguments) {
  CLI::App app("Peerlane: an iSCSI target and initiator in user space.", "peerlane");
  app.set_version_flag("--version", version_text, "Show the version, the optional parts and the libraries, and exit");
  app.set_help_flag("-h,--help", "Show this help and exit");
  app.footer(kPeerlaneFooter);
  app.require_subcommand(1);
  ServeArguments serve;
  CheckArguments check;
  CopyArguments copy;
  CLI::App* const serve_command = app.add_subcommand("serve", "Serve disks over iSCSI until told to stop");
  add_serve_options(*serve_command, serve);
  add_check_options(*app.add_subcommand("check", "Explain every mistake of a configuration file"), check);
  CLI::App* const copy_command = app.add_subcommand("copy", "Copy one disk to another");
  add_copy_options(*copy_command, copy);
  BenchArguments bench;
  InfoArguments info;
  DiscoverArguments discover;
  PrArguments reservations;
  UnmapArguments unmap;
  SgArguments sg;
  CLI::App* const discover_command = app.add_subcommand("discover", "List a portal's targets and logical units");
  add_discover_options(*discover_command, discover);
  CLI::App* const info_command = app.add_subcommand("info", "Tell what a disk is and what it can do");
  add_info_options(*info_command, info);
  CLI::App* const bench_command = app.add_subcommand("bench", "Measure a disk");
  add_bench_options(*bench_command, bench);
  CLI::App* const unmap_command = app.add_subcommand("unmap", "Give the space of a range of a disk back");
  add_unmap_options(*unmap_command, unmap);
  CLI::App* const pr_command = app.add_subcommand("pr", "Persistent reservations of a logical unit");
  add_pr_options(*pr_command, reservations);
  CLI::App* const sg_command = app.add_subcommand("sg", "Send one SCSI command to a logical unit");
  add_sg_options(*sg_command, sg);
  AttachArguments attach;
  CLI::App* const attach_command = app.add_subcommand("attach", "Make a disk a block device of this host");
  add_attach_options(*attach_command, attach);
  DetachArguments detach;
  CLI::App* const detach_command = app.add_subcommand("detach", "Take such a block device away");
  add_detach_options(*detach_command, detach);
  TopologyArguments topology;
  CLI::App* const topology_command =
      app.add_subcommand("topology", "Show the PCI Express hierarchy and who can copy to whom over it");
  add_topology_options(*topology_command, topology);

  // CLI11 takes the arguments in reverse order, and speaks through exceptions, which end here.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return std::unexpected(Answer{ExitCode::kOk, app.help()});
  } catch (const CLI::CallForVersion& version) {
    return std::unexpected(Answer{ExitCode::kOk, fmt::format("{}\n", version.what())});
  } catch (const CLI::ParseError& error) {
    return std::unexpected(
        Answer{ExitCode::kUsage, fmt::format("peerlane: {}\npeerlane: try: peerlane --help\n", error.what())});
  }
  if (serve_command->parsed()) return serve;
  if (copy_command->parsed()) return copy;
  if (discover_command->parsed()) return discover;
  if (info_command->parsed()) return info;
  if (bench_command->parsed()) return bench;
  if (unmap_command->parsed()) return unmap;
  if (pr_command->parsed()) return reservations;
  if (sg_command->parsed()) return sg;
  if (attach_command->parsed()) return attach;
  if (detach_command->parsed()) return detach;
  if (topology_command->parsed()) return topology;
  return check;
}

}  // namespace peerlane::cli
