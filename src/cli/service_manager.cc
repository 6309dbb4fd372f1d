#include "cli/service_manager.h"

#ifdef PEERLANE_HAVE_SYSTEMD
#include <systemd/sd-daemon.h>

namespace peerlane::cli {

std::vector<int> inherited_sockets() {
  std::vector<int> sockets;
  const int count = sd_listen_fds(1);
  for (int i = 0; i < count; ++i) sockets.push_back(SD_LISTEN_FDS_START + i);
  return sockets;
}

void notify_ready() {
  sd_notify(0, "READY=1");
}
void notify_stopping() {
  sd_notify(0, "STOPPING=1");
}

}  // namespace peerlane::cli

#else

namespace peerlane::cli {

std::vector<int> inherited_sockets() {
  return {};
}
void notify_ready() {}
void notify_stopping() {}

}  // namespace peerlane::cli

#endif
