// The command line as data: which command, with which arguments.
#pragma once

#include <expected>
#include <string>
#include <variant>
#include <vector>

#include "cli/attach_arguments.h"
#include "cli/bench_arguments.h"
#include "cli/check.h"
#include "cli/copy_arguments.h"
#include "cli/discover.h"
#include "cli/exit_code.h"
#include "cli/info.h"
#include "cli/pr.h"
#include "cli/serve_arguments.h"
#include "cli/sg.h"
#include "cli/topology.h"
#include "cli/unmap.h"

namespace peerlane::cli {

using CommandLine =
    std::variant<ServeArguments, CheckArguments, CopyArguments, BenchArguments, InfoArguments, DiscoverArguments,
                 PrArguments, UnmapArguments, SgArguments, AttachArguments, DetachArguments, TopologyArguments>;

/// What is printed instead of running a command: what was asked for (--help, --version), or what is wrong.
struct Answer {
  ExitCode exit_code = ExitCode::kOk;
  std::string text;  // for standard output if the exit code is kOk, otherwise for standard error
};

/// Reads the arguments that follow the program's name.
std::expected<CommandLine, Answer> parse_command_line(const std::vector<std::string>& arguments);

}  // namespace peerlane::cli
