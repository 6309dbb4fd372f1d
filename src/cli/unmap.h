// `peerlane unmap`: gives the space of a range of a disk back.
#pragma once

#include <string>

#include "cli/exit_code.h"

namespace CLI {
class App;
}

namespace peerlane::cli {

struct UnmapArguments {
  std::string disk;
  std::string offset;
  std::string length;
  bool all = false;
  bool yes = false;
};

void add_unmap_options(CLI::App& command, UnmapArguments& arguments);

ExitCode unmap(const UnmapArguments& arguments);

}  // namespace peerlane::cli
