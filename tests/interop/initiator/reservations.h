// Persistent reservations as two initiators see them that want the same LUN (SPC-4 §5.13).
#pragma once

#include <string>

#include "io/reactor.h"
#include "io/task.h"

namespace peerlane::exercise {

/// Two sessions with the LUN of `url`, of this initiator and of one with ":second" behind its name: registers,
/// reserves, is refused, preempts and releases, write exclusive and exclusive access; then cuts the connection of the
/// holder. Prints what targets may do either way.
io::Task<void> reservations(io::Reactor& reactor, std::string url);

}  // namespace peerlane::exercise
