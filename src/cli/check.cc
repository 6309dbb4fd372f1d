#include "cli/check.h"

#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "admin/config.h"

namespace peerlane::cli {
namespace {

std::string plural(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

/// What a good file would serve, in one line.
std::string summary(const target::Declaration& declaration) {
  std::size_t luns = 0;
  for (const target::TargetDeclaration& target : declaration.targets) luns += target.luns.size();
  return fmt::format("{}, {}, {}", plural(declaration.portals.size(), "portal"),
                     plural(declaration.targets.size(), "target"), plural(luns, "LUN"));
}

}  // namespace

CheckCommand::CheckCommand(CLI::App& app) {
  CLI::App* const command = app.add_subcommand("check", "Explain every mistake of a configuration file");
  command->footer(R"(Exit codes: 0 the file can be served, 2 it cannot.
Example: peerlane check /etc/peerlane.toml
)");
  command->add_option("FILE", file_, "The configuration file (TOML)")->required();
  command->add_flag("--json", json_, "Print the findings as one JSON object");
}

ExitCode CheckCommand::run() const {
  const admin::Configuration configuration = admin::load_configuration(file_);
  const bool good = !admin::has_errors(configuration.findings);
  if (json_) {
    fmt::print("{}\n", admin::to_json(file_, configuration.findings));
  } else {
    for (const admin::Finding& finding : configuration.findings) fmt::print("{}\n", admin::to_line(file_, finding));
    if (good) fmt::print("{}: good: {}\n", file_, summary(configuration.declaration));
  }
  return good ? ExitCode::kOk : ExitCode::kUsage;
}

}  // namespace peerlane::cli
