#include "cli/discover.h"

#include <utility>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/discover_report.h"
#include "cli/disks.h"
#include "cli/run.h"
#include "initiator/discovery.h"
#include "initiator/disk.h"
#include "initiator/unit_facts.h"
#include "io/reactor.h"
#include "scsi/lun.h"

namespace peerlane::cli {
namespace {

constexpr const char* kDiscoverFooter =
    R"(HOST is a name or a numeric address, IPv6 in brackets; the port is 3260 where none is given.
Asks the portal for its targets (SendTargets), logs in to each, and lists its logical units with what they say of
themselves and the URL under which other commands take them. A target that refuses does not stop the others.
CHAP accounts: PEERLANE_CHAP_USER with PEERLANE_CHAP_SECRET or PEERLANE_CHAP_SECRET_FILE in the environment (and
PEERLANE_TARGET_CHAP_... for what the target must prove); PEERLANE_INITIATOR_NAME is our iSCSI name.
Exit codes: 0 done, 1 the portal or one of the targets does not answer as it should, 2 the command line is wrong.

Examples:
  peerlane discover 192.0.2.7
  peerlane discover [2001:db8::7]:3261 --targets-only --json
  PEERLANE_CHAP_USER=backup PEERLANE_CHAP_SECRET_FILE=/etc/backup.secret peerlane discover nas.example
)";

Result<iscsi::Url> portal_url(const std::string& portal) {
  auto url = iscsi::parse_url(is_remote(portal) ? portal : "iscsi://" + portal);
  if (url && !url->target.empty()) {
    return fail(EINVAL, fmt::format("give a portal, {}, and no target: all of its targets are listed", url->host));
  }
  return url;
}

class Discovery {
 public:
  Discovery(iscsi::Url portal, bool targets_only) : portal_(std::move(portal)), targets_only_(targets_only) {}

  io::Task<Result<void>> run() {
    io::Reactor& reactor = io::Reactor::current();
    initiator::SessionOptions none;
    auto options = initiator::session_options_for(portal_, std::move(none), initiator::process_environment);
    if (!options) co_return std::unexpected(std::move(options.error()));
    auto asking = initiator::discover(reactor, std::move(options->link), std::move(options->login));
    auto targets = co_await std::move(asking);
    if (!targets) co_return std::unexpected(std::move(targets.error()));
    for (iscsi::DiscoveredTarget& target : *targets) {
      targets_.emplace_back().target = std::move(target);
      if (!targets_only_) co_await ask_target(targets_.back());
    }
    co_return Result<void>();
  }

  const std::vector<FoundTarget>& targets() const { return targets_; }

  bool all_well() const {
    for (const FoundTarget& target : targets_) {
      if (!target.error.empty()) return false;
      for (const FoundUnit& unit : target.units) {
        if (!unit.error.empty()) return false;
      }
    }
    return true;
  }

 private:
  iscsi::Url url_of(const FoundTarget& found, const iscsi::TargetAddress& address) const {
    iscsi::Url url = portal_;
    url.host = address.host;
    url.port = address.port;
    url.target = found.target.name;
    return url;
  }

  /// Logs in at the first of the target's portals that lets us in.
  io::Task<void> ask_target(FoundTarget& found) {
    found.asked = true;
    for (const iscsi::TargetAddress& address : found.target.addresses) {
      iscsi::Url url = url_of(found, address);
      const RemoteOptions options;
      auto opening = log_in(url, options);
      auto session = co_await std::move(opening);
      if (!session) {
        if (found.error.empty()) found.error = session.error().text();
        continue;
      }
      found.error.clear();
      found.alias = (*session)->login().target_alias;
      co_await list_units(**session, url, found);
      co_await (*session)->close();
      co_return;
    }
  }

  static io::Task<void> list_units(initiator::Session& session, iscsi::Url url, FoundTarget& found) {
    const auto luns = co_await initiator::report_luns(session);
    if (!luns) {
      found.error = luns.error().text();
      co_return;
    }
    for (const std::uint32_t lun : *luns) {
      url.lun = lun;
      FoundUnit& unit = found.units.emplace_back();
      unit.lun = lun;
      unit.url = iscsi::to_string(url);
      co_await describe_unit(session, unit);
    }
  }

  static io::Task<void> describe_unit(initiator::Session& session, FoundUnit& unit) {
    const iscsi::LunField field{scsi::encode_lun(scsi::Lun{static_cast<std::uint16_t>(unit.lun)})};
    const initiator::UnitAccess access(session, field, nullptr, false);
    auto facts = co_await initiator::identify(access);
    if (!facts) {
      // A target's controller, a tape: it is there, and no disk.
      unit.error = facts.error().code == ENOTBLK ? std::string() : facts.error().text();
      if (facts.error().code == ENOTBLK) unit.product = "(no disk)";
      co_return;
    }
    unit.vendor = facts->inquiry.vendor;
    unit.product = facts->inquiry.product;
    unit.serial = facts->serial;
    unit.identity = initiator::stable_identity(*facts);
    const auto measured = co_await initiator::measure(access, *facts);
    if (!measured) {
      unit.error = measured.error().text();
      co_return;
    }
    unit.block_size = facts->capacity.block_size;
    unit.size = facts->capacity.blocks.value * facts->capacity.block_size;
  }

  const iscsi::Url portal_;
  const bool targets_only_;
  std::vector<FoundTarget> targets_;
};

io::Task<ExitCode> run(const DiscoverArguments& arguments, const iscsi::Url& portal) {
  Discovery discovery(portal, arguments.targets_only);
  const auto done = co_await discovery.run();
  if (!done) co_return complain(done.error());
  if (arguments.json) {
    print_json(to_json(iscsi::to_string(portal), discovery.targets()));
  } else if (discovery.targets().empty()) {
    fmt::print(stderr, "peerlane: the portal shows no targets to this initiator; see its access lists\n");
  } else {
    fmt::print("{}", to_text(discovery.targets()));
  }
  co_return discovery.all_well() ? ExitCode::kOk : ExitCode::kFailure;
}

}  // namespace

void add_discover_options(CLI::App& command, DiscoverArguments& arguments) {
  command.footer(kDiscoverFooter);
  command.add_option("PORTAL", arguments.portal, "The portal to be asked: HOST[:PORT]")->required()->type_name("");
  command.add_flag("--targets-only", arguments.targets_only, "Do not log in to the targets");
  command.add_flag("--json", arguments.json, "Report one JSON object");
}

ExitCode discover(const DiscoverArguments& arguments) {
  const auto portal = portal_url(arguments.portal);
  if (!portal) return complain(portal.error(), ExitCode::kUsage);
  return run_on_reactor([&] { return run(arguments, *portal); });
}

}  // namespace peerlane::cli
