// What `peerlane` tells the shell that started it.
#pragma once

namespace peerlane::cli {

enum class ExitCode : int {
  kOk = 0,
  kFailure = 1,      // something went wrong while it ran
  kUsage = 2,        // the command line or the configuration is wrong
  kDiffers = 3,      // copy --verify, bench --verify: a difference was found
  kInterrupted = 4,  // a signal ended it before it was done

  // sg and pr: the logical unit's answer.
  kCheckCondition = 10,       // with sense data, as a rule
  kBusy = 11,                 // BUSY, TASK SET FULL
  kReservationConflict = 12,  // another initiator has reserved it, or a key is not the right one
  kOtherStatus = 13,
};

}  // namespace peerlane::cli
