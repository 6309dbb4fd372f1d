#include "cli/stop_signals.h"

#include <csignal>

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/exit_code.h"

namespace peerlane::cli {
namespace {

sigset_t stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

void end_at_once(int /*signal*/) {
  _exit(static_cast<int>(ExitCode::kFailure));
}

}  // namespace

StopSignals::StopSignals() {
  const sigset_t signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A reader of our standard output that goes away must not end us.
  std::signal(SIGPIPE, SIG_IGN);
}

const char* StopSignals::wait() {
  const sigset_t signals = stop_signals();
  int signal = 0;
  sigwait(&signals, &signal);
  taken();
  return signal == SIGINT ? "SIGINT" : "SIGTERM";
}

int StopSignals::descriptor() const {
  const sigset_t signals = stop_signals();
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

void StopSignals::taken() const {
  std::signal(SIGINT, end_at_once);
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  pthread_sigmask(SIG_UNBLOCK, &interrupt, nullptr);
}

}  // namespace peerlane::cli
