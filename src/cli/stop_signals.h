// SIGTERM and SIGINT as requests to stop. The first one is graceful; a SIGINT after it ends the program at once, for
// the user who does not want to wait.
#pragma once

namespace peerlane::cli {

/// Holds both signals back from the moment it is made: made before any other thread, so that all threads inherit that.
class StopSignals {
 public:
  StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// Waits for the first signal, also one that came before this call, and returns its name. From then on SIGINT ends
  /// the program at once with ExitCode::kFailure. Called once, by the thread that made this.
  const char* wait();

  /// For who waits on a reactor instead: a new descriptor, the caller's, from which a signalfd_siginfo can be read
  /// (signalfd(2)) when the first signal has come; -1 if the system has none. After reading it: taken().
  int descriptor() const;
  /// From here on SIGINT ends the program at once, as after wait().
  void taken() const;
};

}  // namespace peerlane::cli
