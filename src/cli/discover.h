// `peerlane discover`: what a portal offers.
#pragma once

#include <string>

#include "cli/exit_code.h"

namespace CLI {
class App;
}

namespace peerlane::cli {

struct DiscoverArguments {
  std::string portal;  // HOST[:PORT], or iscsi://[user@]HOST[:PORT]
  bool targets_only = false;
  bool json = false;
};

void add_discover_options(CLI::App& command, DiscoverArguments& arguments);

ExitCode discover(const DiscoverArguments& arguments);

}  // namespace peerlane::cli
