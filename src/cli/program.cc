#include "cli/program.h"

#include <cstdio>
#include <exception>
#include <functional>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "cli/check.h"
#include "cli/serve.h"
#include "cli/version.h"

namespace peerlane::cli {
namespace {

constexpr const char* kFooter =
    R"(Exit codes: 0 done, 1 something failed while running, 2 the command line or the configuration is wrong.
`peerlane COMMAND --help` explains a command. Manual: peerlane(1).
)";

/// CLI11 speaks through exceptions; they end here.
ExitCode parse_and_run(CLI::App& app, int argc, char** argv, const std::function<ExitCode()>& run_chosen) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked) {  // --help, --version
    app.exit(asked);
    return ExitCode::kOk;
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "peerlane: {}\npeerlane: try: peerlane --help\n", error.what());
    return ExitCode::kUsage;
  }
  return run_chosen();
}

}  // namespace

ExitCode run(int argc, char** argv) {
  try {
    CLI::App app("Peerlane: an iSCSI target in user space.", "peerlane");
    app.set_version_flag("--version", version_text, "Show the version, the optional parts and the libraries, and exit");
    app.set_help_flag("-h,--help", "Show this help and exit");
    app.footer(kFooter);
    app.require_subcommand(1);

    ServeCommand serve(app);
    CheckCommand check(app);
    return parse_and_run(app, argc, argv, [&] { return serve.chosen() ? serve.run() : check.run(); });
  } catch (const std::exception& error) {  // at start-up only: memory, threads
    fmt::print(stderr, "peerlane: {}\n", error.what());
    return ExitCode::kFailure;
  }
}

}  // namespace peerlane::cli
