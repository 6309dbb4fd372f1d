// What the service manager (systemd) gives us and wants to know. Without one, or built without libsystemd, nothing
// happens.
#pragma once

#include <vector>

namespace peerlane::cli {

/// Listening sockets that were opened for us (socket activation), now ours. Called once.
std::vector<int> inherited_sockets();

/// Says that the service is ready, and that it has begun to stop.
void notify_ready();
void notify_stopping();

}  // namespace peerlane::cli
