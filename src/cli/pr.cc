#include "cli/pr.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/remote_unit.h"
#include "cli/reservation_text.h"
#include "cli/run.h"
#include "scsi/opcodes.h"

namespace peerlane::cli {
namespace {

using scsi::ReserveInAction;
using scsi::ReserveOutAction;

// Registrations belong to an initiator port: name and ISID. Each run has to be the same one, so it is this, of the
// random format (RFC 7143 §11.12.5), where the URL names no other.
constexpr iscsi::Isid kIsid{0x80, 0x50, 0x4c, 0x00, 0x00, 0x01};

constexpr const char* kPrFooter =
    R"(DISK is iscsi://host[:port]/target-name/lun. Keys are numbers of 64 bits, such as 0x1f.
Actions that ask:
  read-keys            the keys that are registered
  read-reservation     who holds it, and how
  read-full-status     the keys with their initiators
  report-capabilities  what the logical unit can do
Actions that change:
  register             --new-key K; --key OLD if one is registered; --new-key 0 takes the registration away
  register-ignore      --new-key K, whatever is registered now
  reserve              --key K --type TYPE
  release              --key K --type TYPE
  clear                --key K: takes the reservation and all registrations away
  preempt              --key K --victim V --type TYPE: takes V's registrations away, and its reservation over
  preempt-abort        the same, and V's commands are aborted
Types: write-exclusive (we), exclusive-access (ea), write-exclusive-registrants-only (wero),
exclusive-access-registrants-only (earo), write-exclusive-all-registrants (wear),
exclusive-access-all-registrants (eaar).
A registration belongs to the initiator's name and ISID: PEERLANE_INITIATOR_NAME in the environment, and ?isid=HEX in
the URL (default here: 80504c000001; other commands use a random one). So a program that is to use the disk under the
registration has to be given ?isid=80504c000001 as well.
Exit codes: 0 done, 1 there was no answer, 2 the command line is wrong, 10 refused, 11 busy, 12 reservation conflict.

Examples:
  peerlane pr iscsi://192.0.2.7/iqn.2026-11.dev.peerlane:store/0 register --new-key 0x1
  peerlane pr iscsi://192.0.2.7/iqn.2026-11.dev.peerlane:store/0 reserve --key 0x1 --type wero
  peerlane pr iscsi://192.0.2.7/iqn.2026-11.dev.peerlane:store/0 read-full-status --json
)";

// What an action of PERSISTENT RESERVE OUT needs besides.
enum Needs : unsigned { kNothing = 0, kKey = 1, kNewKey = 2, kType = 4, kVictim = 8 };

struct OutAction {
  std::string_view name;
  ReserveOutAction action;
  unsigned needs;
};
constexpr std::array<OutAction, 7> kOutActions{{
    {"register", ReserveOutAction::kRegister, kNewKey},
    {"register-ignore", ReserveOutAction::kRegisterAndIgnoreExistingKey, kNewKey},
    {"reserve", ReserveOutAction::kReserve, kKey | kType},
    {"release", ReserveOutAction::kRelease, kKey | kType},
    {"clear", ReserveOutAction::kClear, kKey},
    {"preempt", ReserveOutAction::kPreempt, kKey | kVictim | kType},
    {"preempt-abort", ReserveOutAction::kPreemptAndAbort, kKey | kVictim | kType},
}};

struct InAction {
  std::string_view name;
  ReserveInAction action;
};
constexpr std::array<InAction, 4> kInActions{{
    {"read-keys", ReserveInAction::kReadKeys},
    {"read-reservation", ReserveInAction::kReadReservation},
    {"read-full-status", ReserveInAction::kReadFullStatus},
    {"report-capabilities", ReserveInAction::kReportCapabilities},
}};

Result<std::uint64_t> needed_key(const std::string& text, bool needed, const char* option, const std::string& action) {
  if (!text.empty()) return parse_number(text, option);
  if (needed) return fail(EINVAL, fmt::format("{} needs {}", action, option));
  return 0;
}

Result<PrCommand> to_out_command(const PrArguments& arguments, const OutAction& action) {
  ReserveOutCommand command;
  command.action = action.action;
  const auto key = needed_key(arguments.key, (action.needs & kKey) != 0, "--key", arguments.action);
  if (!key) return std::unexpected(key.error());
  const bool registers = (action.needs & kNewKey) != 0;
  const auto action_key =
      registers ? needed_key(arguments.new_key, true, "--new-key", arguments.action)
                : needed_key(arguments.victim, (action.needs & kVictim) != 0, "--victim", arguments.action);
  if (!action_key) return std::unexpected(action_key.error());
  command.parameters.key = *key;
  command.parameters.action_key = *action_key;
  command.parameters.persist = arguments.persist;
  command.parameters.all_target_ports = arguments.all_target_ports;
  if ((action.needs & kType) != 0) {
    command.type = reservation_type_named(arguments.type);
    if (!command.type) {
      return fail(EINVAL, fmt::format("{} needs --type: we, ea, wero, earo, wear or eaar", arguments.action));
    }
  }
  if (!registers && (arguments.persist || arguments.all_target_ports)) {
    return fail(EINVAL, "--aptpl and --all-target-ports belong to register and register-ignore");
  }
  return command;
}

template <typename T>
ExitCode show(const std::optional<T>& decoded, bool json) {
  if (!decoded) return complain({EPROTO, "the logical unit's answer makes no sense"});
  if (json) {
    print_json(to_json(*decoded));
  } else {
    fmt::print("{}", to_text(*decoded));
  }
  return ExitCode::kOk;
}

ExitCode show(ReserveInAction action, ByteView bytes, bool json) {
  switch (action) {
    case ReserveInAction::kReadKeys:
      return show(scsi::decode_reservation_keys(bytes), json);
    case ReserveInAction::kReadReservation:
      return show(scsi::decode_reservation_state(bytes), json);
    case ReserveInAction::kReportCapabilities:
      return show(scsi::decode_reservation_capabilities(bytes), json);
    case ReserveInAction::kReadFullStatus:
      return show(scsi::decode_full_status(bytes), json);
  }
  return ExitCode::kUsage;
}

io::Task<ExitCode> ask(RemoteUnit& unit, ReserveInAction action, bool json) {
  initiator::UnitAccess access = unit.access();
  const auto bytes = co_await access.reserve_in(action);
  if (!bytes) {
    co_return complain(bytes.error(), bytes.error().code == ENOTSUP ? ExitCode::kCheckCondition : ExitCode::kFailure);
  }
  co_return show(action, *bytes, json);
}

io::Task<ExitCode> change(RemoteUnit& unit, const ReserveOutCommand& command, bool json) {
  const std::vector<std::uint8_t> list = scsi::encode_reserve_out(command.parameters);
  initiator::Request request;
  request.lun = unit.field();
  request.cdb[0] = static_cast<std::uint8_t>(scsi::OperationCode::kPersistentReserveOut);
  request.cdb[1] = static_cast<std::uint8_t>(command.action);
  request.cdb[2] = command.type ? static_cast<std::uint8_t>(*command.type) : 0;
  put_be32(request.cdb, 5, static_cast<std::uint32_t>(list.size()));
  request.data_out = list;
  const auto result = co_await unit.session().execute(request);
  if (!result) co_return complain(result.error());
  const ExitCode code = exit_code_of(*result);
  if (code == ExitCode::kReservationConflict) {
    co_return complain({EBUSY,
                        "RESERVATION CONFLICT: --key is not what this initiator has registered, or another one "
                        "holds the reservation; see read-full-status"},
                       code);
  }
  if (code != ExitCode::kOk) co_return complain({EIO, describe(*result)}, code);
  if (json) print_json({{"status", "GOOD"}});
  co_return code;
}

io::Task<ExitCode> run(const PrArguments& arguments, const PrCommand& command) {
  std::string spec = arguments.disk;
  RemoteOptions options;
  options.isid = kIsid;
  auto opening = RemoteUnit::open(std::move(spec), options);
  auto unit = co_await std::move(opening);
  if (!unit) co_return complain(unit.error(), unit.error().code == EINVAL ? ExitCode::kUsage : ExitCode::kFailure);
  ExitCode code = ExitCode::kOk;
  if (const auto* const action = std::get_if<ReserveInAction>(&command)) {
    code = co_await ask(*unit, *action, arguments.json);
  } else {
    code = co_await change(*unit, std::get<ReserveOutCommand>(command), arguments.json);
  }
  co_await unit->close();
  co_return code;
}

std::vector<std::string> action_names() {
  std::vector<std::string> names;
  for (const OutAction& action : kOutActions) names.emplace_back(action.name);
  for (const InAction& action : kInActions) names.emplace_back(action.name);
  return names;
}

}  // namespace

Result<PrCommand> to_pr_command(const PrArguments& arguments) {
  const auto* const in = std::ranges::find(kInActions, arguments.action, &InAction::name);
  if (in != kInActions.end()) return in->action;
  const auto* const out = std::ranges::find(kOutActions, arguments.action, &OutAction::name);
  if (out != kOutActions.end()) return to_out_command(arguments, *out);
  return fail(EINVAL, fmt::format("\"{}\" is no action; see `peerlane pr --help`", arguments.action));
}

void add_pr_options(CLI::App& command, PrArguments& arguments) {
  command.footer(kPrFooter);
  command.add_option("DISK", arguments.disk, "The logical unit: an iscsi:// URL")->required()->type_name("");
  command.add_option("ACTION", arguments.action, "What is done")
      ->required()
      ->check(CLI::IsMember(action_names()).description(""))
      ->type_name("");
  command.add_option("--key", arguments.key, "The key that this initiator has registered")->type_name("KEY");
  command.add_option("--new-key", arguments.new_key, "The key that is to be registered")->type_name("KEY");
  command.add_option("--victim", arguments.victim, "The key of those who are to be preempted")->type_name("KEY");
  command.add_option("--type", arguments.type, "The kind of the reservation")->type_name("TYPE");
  command.add_flag("--aptpl", arguments.persist, "Registrations and reservation survive a loss of power");
  command.add_flag("--all-target-ports", arguments.all_target_ports, "Register at all of the target's ports");
  command.add_flag("--json", arguments.json, "Report one JSON object");
}

ExitCode persistent_reserve(const PrArguments& arguments) {
  const auto command = to_pr_command(arguments);
  if (!command) return complain(command.error(), ExitCode::kUsage);
  return run_on_reactor([&] { return run(arguments, *command); });
}

}  // namespace peerlane::cli
