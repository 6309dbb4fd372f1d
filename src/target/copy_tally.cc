#include "target/copy_tally.h"

#include <algorithm>

#include "copy/job.h"

namespace peerlane::target {
namespace {

/// The way that most of the data took, and what carried them.
std::string carrier_of(const copy::Summary& summary) {
  const auto* const most =
      std::ranges::max_element(copy::kAllWays, {}, [&](copy::Way way) { return summary.account.of(way); });
  if (summary.account.of(*most) == 0) return {};
  std::string text(copy::name(*most));
  const bool direct = *most > copy::Way::kZeroes && *most < copy::Way::kHostMemory;
  if (direct && !summary.through.empty()) text += " " + summary.through;
  return text;
}

}  // namespace

void CopyTally::add(const copy::Summary& summary) {
  std::string carrier = carrier_of(summary);
  const std::lock_guard lock(mutex_);
  for (const copy::Way way : copy::kAllWays) account_.add(way, summary.account.of(way));
  account_.memory_bytes += summary.account.memory_bytes + summary.account.probe_bytes;
  if (!carrier.empty()) last_ = std::move(carrier);
}

scsi::CopyLog CopyTally::log() const {
  const std::lock_guard lock(mutex_);
  scsi::CopyLog log;
  for (const copy::Way way : copy::kAllWays) log.ways.push_back({std::string(copy::name(way)), account_.of(way)});
  log.memory_bytes = account_.memory_bytes;
  log.last = last_;
  return log;
}

}  // namespace peerlane::target
