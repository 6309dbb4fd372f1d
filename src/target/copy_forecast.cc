#include "target/copy_forecast.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "copy/plan.h"
#include "target/copy_resolution.h"
#include "target/unit_disk.h"

namespace peerlane::target {
namespace {

using Use = UnitDisk::Use;

copy::End end_of(UnitDisk& disk, const ItlNexus& nexus) {
  copy::End end;
  end.device = &disk;
  end.name = nexus.unit().identity().serial;
  end.size = disk.geometry().size;
  return end;
}

/// A line for each reason, with the ways that it is one against: there is not much room for them.
std::vector<std::string> describe(const std::vector<copy::Refusal>& refusals) {
  std::vector<std::pair<std::string, std::string>> lines;  // reason, ways
  for (const copy::Refusal& refusal : refusals) {
    // What is skipped or made of zeroes is no matter of the two disks.
    if (refusal.way <= copy::Way::kZeroes) continue;
    const auto known = std::ranges::find(lines, refusal.reason, &std::pair<std::string, std::string>::first);
    if (known == lines.end()) {
      lines.emplace_back(refusal.reason, copy::name(refusal.way));
    } else {
      known->second += fmt::format(", {}", copy::name(refusal.way));
    }
  }
  std::vector<std::string> texts;
  for (const auto& [reason, ways] : lines) texts.push_back(fmt::format("not {}: {}", ways, reason));
  return texts;
}

scsi::CopyForecast describe(const copy::Plan& plan) {
  const copy::Route& data = plan.routes().front();
  scsi::CopyForecast forecast;
  forecast.way = copy::name(data.way);
  for (const copy::DirectWay& way : plan.direct_ways()) {
    if (way.way == data.way && !way.through.empty()) forecast.way += " " + way.through;
  }
  forecast.refusals = describe(data.refusals);
  return forecast;
}

}  // namespace

io::Task<scsi::CopyForecast> forecast_copy(ItlNexus& source, ItlNexus& destination) {
  scsi::CopyForecast forecast;
  if (why_not_readable(source) || why_not_writable(destination)) {
    forecast.way = "nothing, as a unit cannot be used now";
    co_return forecast;
  }
  const bool ending = false;
  const auto reading = std::make_unique<UnitDisk>(source, Use::kRead, ending);
  const auto writing = std::make_unique<UnitDisk>(destination, Use::kWrite, ending);
  copy::End from = end_of(*reading, source);
  copy::End to = end_of(*writing, destination);
  copy::PlanOptions options;
  options.length = std::min(from.size, to.size);
  options.policy = destination.view().copy_settings().p2p;
  const auto plan = co_await copy::plan(std::move(from), std::move(to), options);
  if (plan) {
    forecast = describe(*plan);
  } else {
    forecast.way = "nothing: " + plan.error().text();
  }
  co_return forecast;
}

}  // namespace peerlane::target
