// `peerlane bench`: measures a disk.
#pragma once

#include "cli/bench_arguments.h"
#include "cli/exit_code.h"

namespace peerlane::cli {

/// Runs the load and reports.
ExitCode bench(const BenchArguments& arguments);

}  // namespace peerlane::cli
