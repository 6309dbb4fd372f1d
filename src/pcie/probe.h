// What a disk and another device's memory really do, rather than what Linux is going to do with a request.
#pragma once

#include <string>

#include "base/error.h"
#include "pcie/peer_memory.h"

namespace peerlane::pcie {

/// Lets a disk read its first 4096 bytes into peer memory, which had random bytes before, and compares them with what
/// the disk reads into this host's memory. Nothing is written to any disk: that it can also fetch from there what it is
/// to write is not tried. `path` is of a block device. Errors, each with a sentence: EILSEQ if other bytes came; what
/// the kernel answers instead of a transfer; those of allocate(). Blocks.
Result<void> probe(PeerMemoryProvider& provider, const std::string& path);

}  // namespace peerlane::pcie
