// `peerlane pr`: persistent reservations of a logical unit (SPC-4 §5.12).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/error.h"
#include "cli/exit_code.h"
#include "scsi/persistent_reservation.h"

namespace CLI {
class App;
}

namespace peerlane::cli {

struct PrArguments {
  std::string disk;
  std::string action;
  std::string key;
  std::string new_key;
  std::string victim;
  std::string type;
  bool persist = false;
  bool all_target_ports = false;
  bool json = false;
};

/// What is asked of the logical unit: PERSISTENT RESERVE IN, or OUT.
struct ReserveOutCommand {
  scsi::ReserveOutAction action = scsi::ReserveOutAction::kRegister;
  std::optional<scsi::ReservationType> type;
  scsi::ReserveOutParameters parameters;
};
using PrCommand = std::variant<scsi::ReserveInAction, ReserveOutCommand>;

/// Errors: EINVAL, with a sentence that names the option which the action needs.
Result<PrCommand> to_pr_command(const PrArguments& arguments);

void add_pr_options(CLI::App& command, PrArguments& arguments);

ExitCode persistent_reserve(const PrArguments& arguments);

}  // namespace peerlane::cli
