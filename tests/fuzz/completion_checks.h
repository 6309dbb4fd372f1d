// For fuzzing: what must be true of a command that has ended, whatever it was.
#pragma once

#include "stage.h"

namespace peerlane::fuzz {

/// The blocks that a command names, read from its CDB or its parameter list without the help of the code under test.
/// For a command that writes without naming blocks they are all blocks.
NamedRange named_range(const FuzzCommand& command, const WatchedDevice& device);

/// Status and sense data fit each other, the command and what the disk did; data were sent only as the CDB says, can be
/// decoded, and are those of the disk.
void check_completion(const FuzzCommand& command, WatchedDevice& device);

/// The parameter data of a command that succeeded, `sent`, can be decoded; `cut`: possibly not all of them.
void check_answer(ByteView cdb, ByteView sent, bool cut);

}  // namespace peerlane::fuzz
