// The options of `peerlane attach` and `peerlane detach`.
#pragma once

#include <string>

#include "base/limits.h"

namespace CLI {
class App;
}

namespace peerlane::cli {

struct AttachArguments {
  std::string disk;     // empty with list
  unsigned queues = 0;  // 0: one per processor, up to limits::kAttachQueues
  unsigned depth = limits::kAttachDepth;
  bool read_only = false;
  bool no_direct = false;
  bool foreground = false;
  bool list = false;
  bool json = false;
  std::string log_file;
  std::string log_level = "info";
};

struct DetachArguments {
  std::string disk;  // /dev/ublkbN
  bool force = false;
};

/// Declare the options, and what is said about them.
void add_attach_options(CLI::App& command, AttachArguments& arguments);
void add_detach_options(CLI::App& command, DetachArguments& arguments);

}  // namespace peerlane::cli
