// `peerlane serve`: serves disks until it is told to stop.
#pragma once

#include "cli/exit_code.h"
#include "cli/serve_arguments.h"

namespace peerlane::cli {

class ServeCommand {
 public:
  /// Adds the command to `app`, which outlives it.
  explicit ServeCommand(CLI::App& app);

  /// Whether the command line names this command.
  bool chosen() const;

  /// Serves until SIGTERM or SIGINT. kUsage if the arguments or the configuration are wrong.
  ExitCode run() const;

 private:
  CLI::App* command_;
  ServeArguments arguments_;
};

}  // namespace peerlane::cli
