// What `peerlane` tells the shell that started it.
#pragma once

namespace peerlane::cli {

enum class ExitCode : int {
  kOk = 0,
  kFailure = 1,  // something went wrong while it ran
  kUsage = 2,    // the command line or the configuration is wrong
};

}  // namespace peerlane::cli
