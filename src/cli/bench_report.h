// What `peerlane bench` tells.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"
#include "base/histogram.h"
#include "cli/bench_load.h"

namespace peerlane::cli {

/// What came of a run.
struct BenchResult {
  std::string disk;     // without secrets
  std::string pattern;  // as the user named it
  LoadOptions options;
  unsigned threads = 1;
  double seconds = 0;  // that were measured
  Histogram reads;     // nanoseconds
  Histogram writes;
  std::uint64_t checked = 0;   // blocks
  double cpu_seconds = 0;      // of this process while it was measured
  std::optional<Error> error;  // it ended early

  std::uint64_t ios() const { return reads.count() + writes.count(); }
  double per_second() const { return seconds > 0 ? static_cast<double>(ios()) / seconds : 0; }
  double bytes_per_second() const { return per_second() * static_cast<double>(options.block_bytes); }
  /// Of this process, for a million I/Os.
  double cpu_seconds_per_million() const { return ios() == 0 ? 0 : cpu_seconds * 1e6 / static_cast<double>(ios()); }
};

nlohmann::ordered_json to_json(const BenchResult& result);
/// Some lines for people.
std::string to_text(const BenchResult& result);

/// "12 s of 30: 412,345 IOPS, 1,689 MB/s" for the terminal.
std::string bench_progress(double seconds, std::optional<double> whole, double ios_per_second, double bytes_per_second);

}  // namespace peerlane::cli
