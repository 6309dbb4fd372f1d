// Connecting to a host by name or numeric address, within a time limit.
//
// Names are looked up by the system's resolver, which blocks: it runs on a thread of its own that lasts as long as the
// lookup and reports back. At most limits::kLookups such threads exist. Numeric addresses need none.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "io/interrupt.h"
#include "io/reactor.h"
#include "io/task.h"

namespace peerlane::io {

/// A TCP connection to `host` (a name, or a numeric address without brackets) at `port`: the socket, which is then the
/// caller's. The addresses of a name are tried one after the other, each with its part of what is left of `limit`.
///
/// Errors, with a sentence: ENOENT, the name is not known; ECONNREFUSED, EHOSTUNREACH and what else the system reports;
/// ETIMEDOUT, past `limit`; EAGAIN, too many lookups are under way; ECANCELED, `interrupt` was raised (it may be null).
Task<Result<int>> connect(Reactor& reactor, std::string host, std::uint16_t port, Duration limit,
                          Interrupt* interrupt = nullptr);

}  // namespace peerlane::io
