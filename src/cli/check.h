// `peerlane check FILE`: explains every mistake of a configuration file without serving anything.
#pragma once

#include <string>

#include "cli/exit_code.h"

namespace peerlane::cli {

struct CheckArguments {
  std::string file;
  bool json = false;  // the findings as one JSON object
};

/// Reads the file and says what is wrong: kOk if nothing but warnings is, kUsage otherwise.
ExitCode check(const CheckArguments& arguments);

}  // namespace peerlane::cli
