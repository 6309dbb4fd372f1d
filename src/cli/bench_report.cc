#include "cli/bench_report.h"

#include <array>
#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "cli/run.h"

namespace peerlane::cli {
namespace {

using nlohmann::ordered_json;

struct Percentile {
  const char* name;
  double percent;
};
constexpr std::array<Percentile, 6> kPercentiles{
    {{"p50", 50}, {"p90", 90}, {"p95", 95}, {"p99", 99}, {"p99.9", 99.9}, {"p99.99", 99.99}}};

double microseconds(double nanoseconds) {
  return std::round(nanoseconds / 10) / 100;
}
double microseconds(std::uint64_t nanoseconds) {
  return microseconds(static_cast<double>(nanoseconds));
}

/// 1234567 as "1,234,567".
std::string grouped(double number) {
  const std::string digits = fmt::format("{:.0f}", number);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

ordered_json latency_json(const Histogram& latency) {
  ordered_json json = {{"mean", microseconds(latency.mean())}, {"min", microseconds(latency.least())}};
  for (const Percentile& each : kPercentiles) json[each.name] = microseconds(latency.percentile(each.percent));
  json["max"] = microseconds(latency.most());
  return json;
}

ordered_json kind_json(const Histogram& latency) {
  return {{"ios", latency.count()}, {"latency_us", latency_json(latency)}};
}

std::string latency_line(const char* what, const Histogram& latency) {
  std::string line = fmt::format("  {:<9} µs  mean {:.1f}", what, microseconds(latency.mean()));
  for (const Percentile& each : kPercentiles) {
    line += fmt::format("  {} {:.1f}", each.name, microseconds(latency.percentile(each.percent)));
  }
  return line + fmt::format("  max {:.1f}\n", microseconds(latency.most()));
}

Histogram both(const BenchResult& result) {
  Histogram all = result.reads;
  all.add(result.writes);
  return all;
}

}  // namespace

ordered_json to_json(const BenchResult& result) {
  const LoadOptions& options = result.options;
  ordered_json json = {{"disk", result.disk},
                       {"pattern", result.pattern},
                       {"read_percent", options.read_percent},
                       {"block_size", options.block_bytes},
                       {"depth", options.depth},
                       {"sessions", options.sessions},
                       {"threads", result.threads},
                       {"fua", options.fua},
                       {"offset", options.begin},
                       {"length", options.end - options.begin},
                       {"rate", options.rate > 0 ? ordered_json(options.rate) : ordered_json(nullptr)},
                       {"seconds", result.seconds},
                       {"ios", result.ios()},
                       {"iops", result.per_second()},
                       {"bytes_per_second", result.bytes_per_second()},
                       {"latency_us", latency_json(both(result))},
                       {"reads", kind_json(result.reads)},
                       {"writes", kind_json(result.writes)},
                       {"cpu_seconds", result.cpu_seconds},
                       {"cpu_seconds_per_million_ios", result.cpu_seconds_per_million()}};
  if (options.verify) {
    json["verify"] = {{"seed", options.seed}, {"blocks_checked", result.checked}};
  }
  json["error"] = result.error ? ordered_json(result.error->text()) : ordered_json(nullptr);
  return json;
}

std::string to_text(const BenchResult& result) {
  const LoadOptions& options = result.options;
  std::string text = fmt::format("{}: {} of {}, depth {}, {}, {}: {:.2f} s\n", result.disk, result.pattern,
                                 format_size(options.block_bytes), options.depth, plural(options.sessions, "session"),
                                 plural(result.threads, "thread"), result.seconds);
  if (result.ios() == 0) return text + "  nothing was measured\n";
  text += fmt::format("  {} IOPS  {:.1f} MB/s  {} I/Os", grouped(result.per_second()), result.bytes_per_second() / 1e6,
                      grouped(static_cast<double>(result.ios())));
  const bool mixed = result.reads.count() != 0 && result.writes.count() != 0;
  if (mixed) {
    text += fmt::format(" ({} reads, {} writes)", grouped(static_cast<double>(result.reads.count())),
                        grouped(static_cast<double>(result.writes.count())));
  }
  text += '\n';
  if (mixed) {
    text += latency_line("reads", result.reads) + latency_line("writes", result.writes);
  } else {
    text += latency_line("latency", both(result));
  }
  text +=
      fmt::format("  processor    {:.2f} s for a million I/Os, {:.0f} % of one here\n",
                  result.cpu_seconds_per_million(), result.seconds > 0 ? 100 * result.cpu_seconds / result.seconds : 0);
  if (options.verify) {
    text +=
        fmt::format("  verified     {} blocks, seed {}\n", grouped(static_cast<double>(result.checked)), options.seed);
  }
  return text;
}

std::string bench_progress(double seconds, std::optional<double> whole, double ios_per_second,
                           double bytes_per_second) {
  const std::string of = whole ? fmt::format(" of {:.0f}", *whole) : "";
  return fmt::format("{:.0f} s{}: {} IOPS, {} MB/s", seconds, of, grouped(ios_per_second),
                     grouped(bytes_per_second / 1e6));
}

}  // namespace peerlane::cli
