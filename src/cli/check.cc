#include "cli/check.h"

#include <cstdio>

#include <fmt/format.h>

#include "admin/config.h"
#include "base/units.h"

namespace peerlane::cli {
namespace {

/// What a good file would serve, in one line.
std::string summary(const target::Declaration& declaration) {
  std::size_t luns = 0;
  for (const target::TargetDeclaration& target : declaration.targets) luns += target.luns.size();
  return fmt::format("{}, {}, {}", plural(declaration.portals.size(), "portal"),
                     plural(declaration.targets.size(), "target"), plural(luns, "LUN"));
}

}  // namespace

ExitCode check(const CheckArguments& arguments) {
  const admin::Configuration configuration = admin::load_configuration(arguments.file);
  const bool good = !admin::has_errors(configuration.findings);
  if (arguments.json) {
    fmt::print("{}\n", admin::to_json(arguments.file, configuration.findings));
  } else {
    for (const admin::Finding& finding : configuration.findings)
      fmt::print("{}\n", admin::to_line(arguments.file, finding));
    if (good) fmt::print("{}: good: {}\n", arguments.file, summary(configuration.declaration));
  }
  return good ? ExitCode::kOk : ExitCode::kUsage;
}

}  // namespace peerlane::cli
