#include "cli/signal_watch.h"

#include <sys/signalfd.h>

namespace peerlane::cli {

io::Task<void> SignalWatch::run() {
  const io::Gate::Pass inside(running_);
  signalfd_siginfo info{};
  const ByteSpan bytes(reinterpret_cast<std::uint8_t*>(&info), sizeof info);
  io::Reactor::Call call = io::Reactor::current().read(fd_.get(), bytes, 0);
  pending_ = &call;
  const int got = co_await call;
  pending_ = nullptr;
  if (got <= 0) co_return;
  signals_.taken();
  stop_();
}

io::Task<void> SignalWatch::stop() {
  if (pending_ != nullptr) io::Reactor::current().cancel(*pending_);
  co_await running_.drained();
}

}  // namespace peerlane::cli
