#include "admin/filter_keys.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include <fmt/format.h>

#include "admin/section.h"
#include "base/limits.h"

namespace peerlane::admin {
namespace {

using block::CacheMode;
using block::FaultOperation;

constexpr std::int64_t kMostCount = INT64_MAX;

// Tables of names, in the order of the values that they stand for.
constexpr std::array<std::string_view, 3> kCacheModes = {"off", "write-through", "write-back"};
constexpr std::array<std::string_view, 6> kOperations = {"any", "read", "write", "flush", "unmap", "write_zeroes"};
struct ErrorName {
  std::string_view name;
  int code;
};
constexpr std::array<ErrorName, 6> kErrors = {{{"EIO", EIO},
                                               {"ENOSPC", ENOSPC},
                                               {"EROFS", EROFS},
                                               {"ENOMEM", ENOMEM},
                                               {"EAGAIN", EAGAIN},
                                               {"ETIMEDOUT", ETIMEDOUT}}};

std::uint64_t count(Section& section, std::string_view key, std::uint64_t otherwise) {
  const auto value = section.number(key, 0, kMostCount);
  return value ? static_cast<std::uint64_t>(*value) : otherwise;
}

void read_cache(Section& lun, block::CacheOptions& cache) {
  const auto mode = lun.choice("cache", {kCacheModes.begin(), kCacheModes.end()});
  cache.mode = static_cast<CacheMode>(mode.value_or(0));
  cache.read_ahead = lun.size("read_ahead", 0, limits::kMostReadAheadBytes).value_or(limits::kReadAheadBytes);
  if (lun.has("read_ahead") && cache.mode == CacheMode::kOff) {
    lun.report("read_ahead",
               {"read_ahead without a cache does nothing", "add cache = \"write-through\", or remove it"});
  }
}

void read_throttle(Section& lun, block::ThrottleOptions& throttle) {
  const auto number = [&](std::string_view key) {
    return static_cast<std::uint64_t>(lun.number(key, 1, limits::kMostIops).value_or(0));
  };
  throttle.iops = number("iops");
  throttle.iops_burst = number("iops_burst");
  const auto size = [&](std::string_view key) {
    return lun.size(key, limits::kLeastBandwidth, limits::kMostBandwidth).value_or(0);
  };
  throttle.bandwidth = size("bandwidth");
  throttle.bandwidth_burst = size("bandwidth_burst");
  for (const auto& [burst, limit] : {std::pair("iops_burst", "iops"), std::pair("bandwidth_burst", "bandwidth")}) {
    if (!lun.has(burst) || lun.has(limit)) continue;
    lun.report(burst,
               {fmt::format("{} without {} limits nothing", burst, limit), fmt::format("add {}, or remove it", limit)});
  }
}

void read_delay(const toml::table& table, std::vector<Finding>& findings, block::DelayOptions& delay) {
  Section section(table, "[target.lun.delay]", findings);
  const auto time = [&](std::string_view key) {
    return std::chrono::microseconds(section.number(key, 0, limits::kMostDelayMicroseconds).value_or(0));
  };
  delay.read = time("read_us");
  delay.write = time("write_us");
  delay.flush = time("flush_us");
  delay.jitter = time("jitter_us");
  delay.seed = count(section, "seed", delay.seed);
  section.finish();
}

block::FaultRule read_fault(const toml::table& table, std::vector<Finding>& findings) {
  Section section(table, "[[target.lun.fault]]", findings);
  block::FaultRule rule;
  rule.operation =
      static_cast<FaultOperation>(section.choice("operation", {kOperations.begin(), kOperations.end()}).value_or(0));
  rule.offset = section.size("offset", 0, INT64_MAX).value_or(rule.offset);
  rule.length = section.size("length", 1, INT64_MAX).value_or(rule.length);
  std::vector<std::string_view> names;
  for (const ErrorName& error : kErrors) names.push_back(error.name);
  if (const auto chosen = section.choice("error", names)) rule.error = kErrors.at(*chosen).code;
  rule.after = count(section, "after", rule.after);
  rule.count = count(section, "count", rule.count);
  rule.probability = section.real("probability", 0, 1).value_or(rule.probability);
  rule.seed = count(section, "seed", rule.seed);
  section.finish();
  return rule;
}

}  // namespace

block::FilterOptions read_filter_keys(Section& lun, std::vector<Finding>& findings) {
  block::FilterOptions filters;
  read_cache(lun, filters.cache);
  read_throttle(lun, filters.throttle);
  if (const toml::table* const delay = lun.table("delay")) read_delay(*delay, findings, filters.delay);
  const auto faults = lun.tables("fault");
  if (faults.size() > limits::kFaultRules) {
    lun.report("fault", {fmt::format("more than {} rules for errors", limits::kFaultRules), "remove some"});
    return filters;
  }
  for (const toml::table* const fault : faults) filters.faults.push_back(read_fault(*fault, findings));
  return filters;
}

std::optional<FilterRemark> check_filters(const target::LunDeclaration& lun) {
  const CacheMode mode = lun.filters.cache.mode;
  if (mode == CacheMode::kOff) return std::nullopt;
  if (mode == CacheMode::kWriteBack && lun.write_through) {
    return FilterRemark{Severity::kError,
                        {"writes cannot go both to a write-back cache and through to stable storage",
                         "choose cache = \"write-through\", or leave write_cache = \"through\" out"}};
  }
  if (lun.disk.starts_with("ram:")) {
    return FilterRemark{Severity::kWarning,
                        {fmt::format("{} is in memory already: a cache only takes more of it", lun.disk),
                         "leave the cache out, unless this is to try it"}};
  }
  if (!lun.direct) {
    return FilterRemark{Severity::kWarning,
                        {fmt::format("{} goes through the kernel's page cache: what is read is kept twice", lun.disk),
                         "leave out either the cache or direct = false (--no-direct)"}};
  }
  return std::nullopt;
}

Verdict check_cached_once(const target::Declaration& declaration) {
  struct Use {
    std::string_view disk;
    unsigned luns = 0;
    bool cached = false;
    bool written = false;
  };
  std::vector<Use> uses;
  for (const target::TargetDeclaration& target : declaration.targets) {
    for (const target::LunDeclaration& lun : target.luns) {
      if (lun.disk.starts_with("ram:")) continue;
      auto use = std::ranges::find(uses, lun.disk, &Use::disk);
      if (use == uses.end()) use = uses.insert(uses.end(), Use{.disk = lun.disk});
      ++use->luns;
      use->cached = use->cached || lun.filters.cache.mode != CacheMode::kOff;
      use->written = use->written || !lun.read_only;
      if (use->luns < 2 || !use->cached || !use->written) continue;
      return Problem{fmt::format("{} has a cache, is written to, and is served more than once", lun.disk),
                     "leave the cache out: one LUN would not see what is written through the other"};
    }
  }
  return std::nullopt;
}

}  // namespace peerlane::admin
