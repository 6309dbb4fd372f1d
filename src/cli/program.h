// The `peerlane` command: reads the command line and runs the command that it names. One file per command.
#pragma once

#include "cli/exit_code.h"

namespace peerlane::cli {

/// Runs the program. Called once, from main.
ExitCode run(int argc, char** argv);

}  // namespace peerlane::cli
