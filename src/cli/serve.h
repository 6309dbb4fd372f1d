// `peerlane serve`: serves disks until it is told to stop.
#pragma once

#include "cli/exit_code.h"
#include "cli/serve_arguments.h"

namespace peerlane::cli {

/// Serves until SIGTERM or SIGINT. kUsage if the arguments or the configuration are wrong.
ExitCode serve(const ServeArguments& arguments);

}  // namespace peerlane::cli
