// `peerlane topology`: the PCI Express hierarchy, the disks in it, and who can copy to whom over the bus.
#pragma once

#include <string>
#include <vector>

#include "cli/exit_code.h"

namespace CLI {
class App;
}

namespace peerlane::cli {

struct TopologyArguments {
  std::vector<std::string> paths;  // only the disks beneath these; none: all
  std::string root = "/";          // of the tree that is read
  std::string policy = "same-switch";
  std::string svg;  // a file to draw into; empty: none
  std::string colour = "auto";
  bool all = false;    // also functions that lead to no disk
  bool probe = false;  // let disks read into peer memory
  bool json = false;
};

void add_topology_options(CLI::App& command, TopologyArguments& arguments);

ExitCode topology(const TopologyArguments& arguments);

}  // namespace peerlane::cli
