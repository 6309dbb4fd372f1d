#include "cli/topology.h"

#include <cerrno>
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "cli/run.h"
#include "cli/topology_view.h"

namespace peerlane::cli {
namespace {

constexpr const char* kTopologyFooter =
    R"(Shows what sysfs says, and what Linux is going to do; nothing is transferred without --probe. Run it as root:
others do not see Access Control Services, on which the ways between disks behind a switch depend.
Exit codes: 0 done, 1 a PATH lies on no disk, or the drawing cannot be written, 2 the command line is wrong.

Examples:
  peerlane topology
  peerlane topology /dev/nvme0n1 /srv/backup
      Only these two, and what lies between them and their disks.
  peerlane topology --policy kernel --svg machine.svg
)";

/// A path's disks. In another machine's tree a path is the name of a block device.
TopologyPath find_path(const pcie::Sysfs& sysfs, const TopologyView& view, const std::string& path, bool this_machine) {
  TopologyPath found{path, {}, {}};
  if (this_machine) {
    auto beneath = disks_beneath_path(sysfs, view.devices, path);
    if (beneath) {
      found.beneath = std::move(*beneath);
    } else {
      found.error = beneath.error().text();
    }
    return found;
  }
  const pcie::BlockDevice* const device = view.devices.find(pcie::last_name(path));
  if (device == nullptr) {
    found.error = path + ": no block device of this name";
  } else {
    found.beneath = disks_beneath(view.devices, device->name);
  }
  return found;
}

Result<void> write_file(const std::string& path, const std::string& text) {
  std::FILE* const file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return std::unexpected(Error::from_errno(errno, path));
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  const int write_error = errno;
  if (std::fclose(file) != 0 || !written)
    return std::unexpected(Error::from_errno(written ? errno : write_error, path));
  return {};
}

}  // namespace

void add_topology_options(CLI::App& command, TopologyArguments& arguments) {
  command.footer(kTopologyFooter);
  command.add_option("PATH", arguments.paths, "Only the disks beneath: a block device, a file, a directory")
      ->type_name("");
  command
      .add_option("--policy", arguments.policy,
                  "What may be used: nothing; what switches forward; whatever Linux allows (default: same-switch)")
      ->check(CLI::IsMember({"off", "same-switch", "kernel"}).description(""))
      ->type_name("off|same-switch|kernel");
  CLI::Option* const probing = command.add_flag("--probe", arguments.probe,
                                                "Let disks read a block into the memory that would be used, and look "
                                                "what has come; writes to no disk, takes root");
  command.add_flag("--all", arguments.all, "Also show what leads to no disk");
  command.add_flag("--json", arguments.json, "Print one JSON object");
  command.add_option("--svg", arguments.svg, "Draw it into this file")->type_name("FILE");
  command.add_option("--color", arguments.colour, "Colours (default: auto, on a terminal)")
      ->check(CLI::IsMember({"auto", "always", "never"}).description(""))
      ->type_name("auto|always|never");
  command.add_option("--root", arguments.root, "Read sys and proc below this directory, kept from another machine")
      ->type_name("DIR")
      ->excludes(probing);
}

ExitCode topology(const TopologyArguments& arguments) {
  const pcie::Sysfs sysfs(arguments.root);
  const auto policy = pcie::parse_policy(arguments.policy);
  if (!policy) return complain(policy.error(), ExitCode::kUsage);
  TopologyView view;
  view.policy = *policy;
  view.topology = read_topology(sysfs);
  view.devices = read_disks(sysfs, view.topology);
  bool failed = false;
  for (const std::string& path : arguments.paths) {
    view.paths.push_back(find_path(sysfs, view, path, arguments.root == "/"));
    if (!view.paths.back().error.empty()) {
      failed = true;
      fmt::print(stderr, "peerlane: {}\n", view.paths.back().error);
    }
  }
  complete(view, arguments.all);
  if (arguments.probe) probe(view, sysfs);
  if (arguments.json) {
    print_json(to_json(view));
  } else {
    const bool colour = arguments.colour == "always" || (arguments.colour == "auto" && isatty(STDOUT_FILENO) != 0);
    fmt::print("{}", to_text(view, colour));
  }
  if (!arguments.svg.empty()) {
    const auto written = write_file(arguments.svg, to_svg(view));
    if (!written) return complain(written.error());
  }
  return failed ? ExitCode::kFailure : ExitCode::kOk;
}

}  // namespace peerlane::cli
