// The options of `peerlane copy`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "copy/job.h"
#include "copy/plan.h"

namespace CLI {
class App;
}

namespace peerlane::cli {

/// As they were given; empty or 0 where they were not.
struct CopyArguments {
  std::string source;
  std::string destination;

  std::string offset;
  std::string length;
  std::string destination_offset;
  std::string sparse = "auto";

  bool no_grow = false;
  bool truncate = false;
  bool force = false;

  bool verify = false;
  std::string resume;
  std::string rate;
  unsigned depth = 0;
  std::string request_size;
  bool no_direct = false;
  std::string only;
  std::string p2p = "same-switch";

  bool explain = false;
  std::string progress = "auto";
  bool quiet = false;
  bool json = false;
};

/// What they mean.
struct CopyOptions {
  copy::PlanOptions plan;
  copy::JobOptions job;
};

/// Errors: EINVAL and ERANGE, with a sentence that names the option.
Result<CopyOptions> to_options(const CopyArguments& arguments);

/// Declares the options, and what is said about them.
void add_copy_options(CLI::App& command, CopyArguments& arguments);

}  // namespace peerlane::cli
