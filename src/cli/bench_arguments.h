// The options of `peerlane bench`.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/limits.h"
#include "block/device.h"
#include "cli/bench_load.h"

namespace CLI {
class App;
}

namespace peerlane::cli {

/// As they were given; empty or 0 where they were not.
struct BenchArguments {
  std::string disk;
  std::string pattern = "randread";
  unsigned read_percent = 70;  // of a mix
  std::string block_size = "4K";
  unsigned depth = 32;
  unsigned sessions = 1;
  unsigned threads = 1;
  bool fua = false;

  double time = 0;  // seconds
  std::string bytes;
  double warm_up = 0;  // seconds
  double rate = 0;     // I/Os a second
  std::string offset;
  std::string length;

  bool verify = false;
  std::string seed;
  bool yes = false;

  bool no_direct = false;
  bool json = false;
  bool quiet = false;

  bool writes() const { return pattern.find("read") == std::string::npos; }
};

/// What they mean, but for the range, which depends on the disk. Errors: EINVAL and ERANGE, with a sentence that names
/// the option.
Result<LoadOptions> to_load_options(const BenchArguments& arguments);

/// Adds the range, and checks that the disk can take such a load. Errors likewise.
Result<void> fit_to_disk(const BenchArguments& arguments, const block::Geometry& geometry, LoadOptions& options);

void add_bench_options(CLI::App& command, BenchArguments& arguments);

}  // namespace peerlane::cli
