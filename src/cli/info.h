// `peerlane info`: what a disk is and what it can do.
#pragma once

#include <string>

#include "cli/exit_code.h"

namespace CLI {
class App;
}

namespace peerlane::cli {

struct InfoArguments {
  std::string disk;
  bool json = false;
};

void add_info_options(CLI::App& command, InfoArguments& arguments);

ExitCode info(const InfoArguments& arguments);

}  // namespace peerlane::cli
