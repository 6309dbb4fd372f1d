#include "cli/info.h"

#include <memory>
#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/disks.h"
#include "cli/info_facts.h"
#include "cli/run.h"
#include "initiator/multipath.h"

namespace peerlane::cli {
namespace {

constexpr const char* kInfoFooter =
    R"(DISK: PATH of a file or block device, ram:SIZE, or iscsi://host[:port]/target-name/lun.
Nothing is written. Of a logical unit of a target there is more to tell: its limits, reservations, target port groups,
and what was negotiated for the session. With ?paths=all or ?sessions=N in the URL: its paths, and what each is good
for.
Exit codes: 0 done, 1 the disk cannot be opened, 2 the command line is wrong.

Examples:
  peerlane info /dev/vg0/lv1
  peerlane info iscsi://192.0.2.7/iqn.2026-11.dev.peerlane:store/0 --json
)";

void show(const std::vector<FactGroup>& groups, bool json) {
  if (json) {
    print_json(to_json(groups));
  } else {
    fmt::print("{}", to_text(groups));
  }
}

io::Task<ExitCode> show_remote(const InfoArguments& arguments) {
  RemoteOptions options;
  options.read_only = false;  // so that it tells what could be done
  options.without_size = true;
  std::string spec = arguments.disk;
  auto opening = open_remote_disk(std::move(spec), options);
  auto disk = co_await std::move(opening);
  if (!disk) co_return complain(disk.error(), disk.error().code == EINVAL ? ExitCode::kUsage : ExitCode::kFailure);
  auto* const paths = dynamic_cast<initiator::Multipath*>(disk->get());
  initiator::Lun& unit = paths != nullptr ? paths->best() : dynamic_cast<initiator::Lun&>(**disk);
  std::vector<FactGroup> groups = device_facts(**disk);
  if (paths != nullptr) groups.push_back(path_facts(*paths));
  std::vector<FactGroup> more = co_await unit_facts(unit);
  for (FactGroup& group : more) groups.push_back(std::move(group));
  show(groups, arguments.json);
  co_await (*disk)->close();
  co_return ExitCode::kOk;
}

io::Task<ExitCode> show_local(const InfoArguments& arguments) {
  const block::OpenOptions options{.logical_block_size = 0, .read_only = true, .direct = true, .exclusive = false};
  std::string spec = arguments.disk;
  auto opening = open_disk(std::move(spec), options);
  auto disk = co_await std::move(opening);
  if (!disk) co_return complain(disk.error());
  show(device_facts(**disk), arguments.json);
  co_await (*disk)->close();
  co_return ExitCode::kOk;
}

}  // namespace

void add_info_options(CLI::App& command, InfoArguments& arguments) {
  command.footer(kInfoFooter);
  command.add_option("DISK", arguments.disk, "The disk")->required()->type_name("");
  command.add_flag("--json", arguments.json, "Report one JSON object");
}

ExitCode info(const InfoArguments& arguments) {
  return run_on_reactor(
      [&arguments] { return is_remote(arguments.disk) ? show_remote(arguments) : show_local(arguments); });
}

}  // namespace peerlane::cli
