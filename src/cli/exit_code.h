// What `peerlane` tells the shell that started it.
#pragma once

namespace peerlane::cli {

enum class ExitCode : int {
  kOk = 0,
  kFailure = 1,      // something went wrong while it ran
  kUsage = 2,        // the command line or the configuration is wrong
  kDiffers = 3,      // copy --verify has found a difference
  kInterrupted = 4,  // a signal ended it before it was done
};

}  // namespace peerlane::cli
