#include "cli/copy_report.h"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.h"
#include "io/reactor.h"

namespace peerlane::cli {
namespace {

using namespace std::chrono_literals;
using copy::Phase;
using nlohmann::ordered_json;

constexpr auto kLook = 100ms;  // the rate is measured so often
constexpr unsigned kLooksPerBar = 2;
constexpr unsigned kLooksPerLine = 50;
constexpr std::size_t kBarColumns = 24;

const char* phase_name(Phase phase) {
  switch (phase) {
    case Phase::kCopying:
      return "copying";
    case Phase::kFlushing:
      return "flushing";
    case Phase::kVerifying:
      return "verifying";
    case Phase::kDone:
      return "done";
  }
  return "";
}

/// Decimal units, as disks' rates are given.
std::string format_rate(double rate) {
  constexpr double kGiga = 1e9;
  constexpr double kMega = 1e6;
  if (rate >= kGiga) return fmt::format("{:.2f} GB/s", rate / kGiga);
  if (rate >= kMega) return fmt::format("{:.0f} MB/s", rate / kMega);
  return fmt::format("{:.0f} kB/s", rate / 1e3);
}

std::string format_time(std::chrono::seconds time) {
  const auto seconds = time.count();
  if (seconds < 60) return fmt::format("{} s", seconds);
  if (seconds < 3600) return fmt::format("{}:{:02} min", seconds / 60, seconds % 60);
  return fmt::format("{}:{:02} h", seconds / 3600, seconds / 60 % 60);
}

std::string one_line(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::uint64_t rate_of(const copy::Summary& summary) {
  const double seconds = summary.elapsed.count();
  return seconds > 0 ? static_cast<std::uint64_t>(static_cast<double>(summary.bytes - summary.resumed_at) / seconds)
                     : 0;
}

/// How much of a plan takes each route.
struct Total {
  std::uint64_t bytes = 0;
  std::uint64_t extents = 0;
};

/// The direct way that a route takes; null if it is none.
const copy::DirectWay* way_of(const copy::Plan& plan, const copy::Route& route) {
  const auto found = std::ranges::find(plan.direct_ways(), route.way, &copy::DirectWay::way);
  return found == plan.direct_ways().end() ? nullptr : &*found;
}

/// What is going to carry the data of a route; empty if there is nothing to be told.
std::string through_of(const copy::Plan& plan, const copy::Route& route) {
  const copy::DirectWay* const way = way_of(plan, route);
  return way != nullptr ? way->through : std::string();
}

ordered_json route_json(const copy::Plan& plan, const copy::Route& route, const Total& total) {
  ordered_json refusals = ordered_json::array();
  for (const auto& refusal : route.refusals) {
    refusals.push_back({{"way", copy::name(refusal.way)}, {"reason", refusal.reason}});
  }
  const copy::DirectWay* const way = way_of(plan, route);
  return {{"way", copy::name(route.way)},
          {"through", through_of(plan, route)},
          {"there", way != nullptr ? way->refusals : std::vector<std::string>()},
          {"reads_source", !route.zero},
          {"bytes", total.bytes},
          {"extents", total.extents},
          {"not", std::move(refusals)}};
}

std::string route_text(const copy::Plan& plan, const copy::Route& route, const Total& total, bool known) {
  const std::string amount =
      known ? fmt::format("{} in {} extent{}", format_size(total.bytes), total.extents, total.extents == 1 ? "" : "s")
            : "all of it";
  const std::string through = through_of(plan, route);
  std::string text =
      fmt::format("  {:<12} {}{}{}\n", copy::name(route.way), amount, through.empty() ? "" : ", ", through);
  if (const copy::DirectWay* const way = way_of(plan, route)) {
    for (const std::string& refusal : way->refusals) text += fmt::format("    there {}\n", refusal);
  }
  for (const auto& refusal : route.refusals) {
    text += fmt::format("    not {}: {}\n", copy::name(refusal.way), refusal.reason);
  }
  return text;
}

}  // namespace

ProgressMode progress_mode(const std::string& name, bool quiet, bool terminal) {
  if (quiet || name == "none") return ProgressMode::kNone;
  if (name == "json") return ProgressMode::kJson;
  if (name == "bar" || (name == "auto" && terminal)) return ProgressMode::kBar;
  return ProgressMode::kLines;
}

std::string progress_line(const copy::Progress& progress, double rate, std::optional<std::chrono::seconds> left,
                          std::size_t bar_columns) {
  if (progress.phase == Phase::kFlushing) return "bringing the destination to stable storage";
  std::string line = progress.phase == Phase::kVerifying ? "verifying: " : "";
  const std::uint64_t done = std::min(progress.done, progress.total.value_or(progress.done));
  if (progress.total) {
    const double part = *progress.total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(*progress.total);
    const auto filled = static_cast<std::size_t>(part * static_cast<double>(bar_columns));
    if (bar_columns != 0) {
      line += fmt::format("[{}{}] ", std::string(filled, '#'), std::string(bar_columns - filled, ' '));
    }
    line += fmt::format("{:.0f}% of {}", part * 100, format_size(*progress.total));
  } else {
    line += format_size(done);
  }
  line += ", " + format_rate(rate);
  if (left && progress.total) line += ", " + format_time(*left) + " left";
  return line;
}

std::string progress_json(const copy::Progress& progress, double rate, std::optional<std::chrono::seconds> left) {
  ordered_json json = {{"phase", phase_name(progress.phase)}, {"done", progress.done}};
  json["total"] = progress.total ? ordered_json(*progress.total) : ordered_json(nullptr);
  json["moved"] = progress.moved;
  json["bytes_per_second"] = static_cast<std::uint64_t>(rate);
  json["seconds_left"] = left && progress.total ? ordered_json(left->count()) : ordered_json(nullptr);
  return one_line(json);
}

// --- While it runs ---

io::Task<void> ProgressDisplay::run() {
  const io::Gate::Pass inside(running_);
  io::Reactor& reactor = io::Reactor::current();
  io::Timer timer(reactor, [this] { wake_.wake_all(); });
  const unsigned every = mode_ == ProgressMode::kBar ? kLooksPerBar : kLooksPerLine;
  for (unsigned looks = 1; !stopping_ && mode_ != ProgressMode::kNone; ++looks) {
    timer.arm_after(kLook);
    co_await wake_;
    if (stopping_) break;
    speed_.report(job_.progress().done, reactor.now());
    if (looks % every == 0) show();
  }
}

void ProgressDisplay::show() {
  const copy::Progress progress = job_.progress();
  const auto left = speed_.left(progress.total.value_or(0));
  if (mode_ == ProgressMode::kJson) {
    fmt::print(stderr, "{}\n", progress_json(progress, speed_.rate(), left));
  } else if (mode_ == ProgressMode::kLines) {
    fmt::print(stderr, "{}\n", progress_line(progress, speed_.rate(), left, 0));
  } else {
    const std::string line = progress_line(progress, speed_.rate(), left, kBarColumns);
    // What the last line had more than this one is blanked.
    fmt::print(stderr, "\r{:<{}}", line, std::max(shown_, line.size()));
    shown_ = line.size();
  }
  std::fflush(stderr);
}

io::Task<void> ProgressDisplay::stop() {
  stopping_ = true;
  wake_.wake_all();
  co_await running_.drained();
  if (shown_ != 0) fmt::print(stderr, "\r{:<{}}\r", "", shown_);
}

// --- At the end ---

std::string summary_line(const copy::Plan& plan, const copy::Summary& summary) {
  std::string ways;
  for (const copy::Way way : copy::kAllWays) {
    if (summary.account.of(way) == 0) continue;
    ways +=
        fmt::format("{}{} by {}", ways.empty() ? ": " : ", ", format_size(summary.account.of(way)), copy::name(way));
  }
  if (!summary.through.empty()) ways += " " + summary.through;
  if (summary.account.of(copy::Way::kThirdParty) != 0) {
    ways += fmt::format("; {} through this host", format_size(summary.account.memory_bytes));
  }
  std::string line = fmt::format("{} -> {}: {} in {:.1f} s ({}){}; {:.2f} s of processor time{}", plan.source().name,
                                 plan.destination().name, format_size(summary.bytes), summary.elapsed.count(),
                                 format_rate(static_cast<double>(rate_of(summary))), ways, summary.processor_seconds,
                                 summary.verified ? "; verified" : "");
  if (summary.resumed_at != 0) line += fmt::format("; went on at {}", format_size(summary.resumed_at));
  if (summary.account.fallbacks != 0) {
    line += fmt::format("; {} pieces took a longer way than planned", summary.account.fallbacks);
  }
  for (const copy::Fallback& fallback : summary.fallbacks) {
    line += fmt::format("\n  not {} ({} pieces): {}", copy::name(fallback.from), fallback.pieces, fallback.reason);
  }
  return line;
}

/// What storage tells that was asked for the copy; null if it does not.
ordered_json storage_json(const copy::Summary& summary) {
  if (!summary.storage) return nullptr;
  ordered_json ways = ordered_json::object();
  for (const block::CopyAccount::Way& way : summary.storage->ways) ways[way.name] = way.bytes;
  return {{"bytes_by_way", std::move(ways)},
          {"memory_bytes", summary.storage->memory_bytes},
          {"carried_by", summary.storage->last}};
}

std::string summary_json(const copy::Plan& plan, const copy::Summary& summary, const Error* error) {
  ordered_json ways = ordered_json::object();
  for (const copy::Way way : copy::kAllWays) ways[std::string(copy::name(way))] = summary.account.of(way);
  ordered_json json = {{"ok", error == nullptr},
                       {"source", plan.source().name},
                       {"destination", plan.destination().name},
                       {"bytes", summary.bytes},
                       {"resumed_at", summary.resumed_at},
                       {"elapsed_seconds", summary.elapsed.count()},
                       {"bytes_per_second", rate_of(summary)},
                       {"processor_seconds", summary.processor_seconds},
                       {"bytes_by_way", std::move(ways)},
                       {"through", summary.through},
                       {"storage", storage_json(summary)},
                       {"memory_bytes", summary.account.memory_bytes},
                       {"probe_bytes", summary.account.probe_bytes},
                       {"fallbacks", summary.account.fallbacks},
                       {"verified", summary.verified}};
  ordered_json reasons = ordered_json::array();
  for (const copy::Fallback& fallback : summary.fallbacks) {
    reasons.push_back({{"way", copy::name(fallback.from)}, {"reason", fallback.reason}, {"pieces", fallback.pieces}});
  }
  json["fallback_reasons"] = std::move(reasons);
  json["link_bytes_per_second"] = nullptr;
  for (const copy::DirectWay& way : plan.direct_ways()) {
    if (way.bandwidth) json["link_bytes_per_second"] = *way.bandwidth;
  }
  if (error != nullptr) json["error"] = error->text();
  return one_line(json);
}

std::string start_line(const copy::Plan& plan) {
  const copy::Route& route = plan.routes().front();
  const std::string through = through_of(plan, route);
  const bool known = plan.length() != copy::kUnknown;
  const bool shorter = route.way != copy::Way::kHostMemory;
  return fmt::format("{} -> {}: {}{}, by {}{}{}", plan.source().name, plan.destination().name,
                     known ? format_size(plan.length()) : "all that there is",
                     plan.follows_map() ? " less what has no space" : "", copy::name(route.way),
                     through.empty() ? "" : " " + through, shorter ? "" : " (--explain says why in no shorter way)");
}

io::Task<Result<std::string>> explain(const copy::Plan& plan, bool json) {
  std::vector<Total> totals(plan.routes().size());
  ordered_json extents = ordered_json::array();
  std::uint64_t position = 0;
  while (position < plan.most()) {
    const auto window = co_await plan.window(position);
    if (!window) co_return std::unexpected(window.error());
    for (const copy::PlannedExtent& extent : *window) {
      totals[extent.route].bytes += extent.length;
      ++totals[extent.route].extents;
      position = extent.position + extent.length;
      if (!json) continue;
      extents.push_back({{"source_offset", plan.source_offset() + extent.position},
                         {"destination_offset", plan.destination_offset() + extent.position},
                         {"length", extent.length},
                         {"route", extent.route}});
    }
  }
  if (json) {
    ordered_json routes = ordered_json::array();
    for (std::size_t i = 0; i < totals.size(); ++i) routes.push_back(route_json(plan, plan.routes()[i], totals[i]));
    ordered_json object = {{"source", plan.source().name}, {"destination", plan.destination().name}};
    object["length"] = plan.length() == copy::kUnknown ? ordered_json(nullptr) : ordered_json(plan.length());
    object["routes"] = std::move(routes);
    object["extents"] = std::move(extents);
    co_return one_line(object) + "\n";
  }
  const bool known = plan.length() != copy::kUnknown;
  std::string text = fmt::format("{} from offset {} -> {} from offset {}: {}\n", plan.source().name,
                                 plan.source_offset(), plan.destination().name, plan.destination_offset(),
                                 known ? format_size(plan.length()) : "all that there is");
  for (std::size_t i = 0; i < totals.size(); ++i) {
    if (totals[i].extents != 0) text += route_text(plan, plan.routes()[i], totals[i], known);
  }
  co_return text;
}

}  // namespace peerlane::cli
