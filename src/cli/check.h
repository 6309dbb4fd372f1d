// `peerlane check FILE`: explains every mistake of a configuration file without serving anything.
#pragma once

#include <string>

#include "cli/exit_code.h"

namespace CLI {
class App;
}

namespace peerlane::cli {

class CheckCommand {
 public:
  /// Adds the command to `app`, which outlives it.
  explicit CheckCommand(CLI::App& app);

  /// Reads the file and says what is wrong: kOk if nothing but warnings is, kUsage otherwise.
  ExitCode run() const;

 private:
  std::string file_;
  bool json_ = false;
};

}  // namespace peerlane::cli
