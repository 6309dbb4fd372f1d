#include "cli/discover_report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/units.h"

namespace peerlane::cli {
namespace {

using nlohmann::ordered_json;

ordered_json or_null(const std::string& text) {
  return text.empty() ? ordered_json(nullptr) : ordered_json(text);
}

ordered_json unit_json(const FoundUnit& unit) {
  const bool measured = unit.size != 0;
  return {{"lun", unit.lun},
          {"url", unit.url},
          {"size", measured ? ordered_json(unit.size) : ordered_json(nullptr)},
          {"block_size", measured ? ordered_json(unit.block_size) : ordered_json(nullptr)},
          {"vendor", or_null(unit.vendor)},
          {"product", or_null(unit.product)},
          {"serial", or_null(unit.serial)},
          {"identity", or_null(unit.identity)},
          {"error", or_null(unit.error)}};
}

ordered_json target_json(const FoundTarget& found) {
  ordered_json portals = ordered_json::array();
  for (const iscsi::TargetAddress& address : found.target.addresses) {
    portals.push_back({{"host", address.host},
                       {"port", address.port},
                       {"group", address.group ? ordered_json(*address.group) : ordered_json(nullptr)}});
  }
  ordered_json json = {{"name", found.target.name}, {"alias", or_null(found.alias)}, {"portals", portals}};
  if (found.asked) {
    ordered_json units = ordered_json::array();
    for (const FoundUnit& unit : found.units) units.push_back(unit_json(unit));
    json["luns"] = std::move(units);
  }
  json["error"] = or_null(found.error);
  return json;
}

std::string unit_text(const FoundUnit& unit) {
  std::string text = fmt::format("  LUN {}", unit.lun);
  if (unit.size != 0) text += fmt::format("  {}", format_size(unit.size));
  if (!unit.vendor.empty() || !unit.product.empty()) text += fmt::format("  {} {}", unit.vendor, unit.product);
  if (!unit.identity.empty()) text += fmt::format("  {}", unit.identity);
  if (!unit.error.empty()) text += fmt::format("  error: {}", unit.error);
  return text + fmt::format("\n    {}\n", unit.url);
}

}  // namespace

ordered_json to_json(const std::string& portal, const std::vector<FoundTarget>& targets) {
  ordered_json list = ordered_json::array();
  for (const FoundTarget& target : targets) list.push_back(target_json(target));
  return {{"portal", portal}, {"targets", list}};
}

std::string to_text(const std::vector<FoundTarget>& targets) {
  std::string text;
  for (const FoundTarget& found : targets) {
    text += found.target.name;
    if (!found.alias.empty()) text += fmt::format(" ({})", found.alias);
    text += '\n';
    for (const iscsi::TargetAddress& address : found.target.addresses) {
      text += fmt::format("  portal {}", iscsi::to_string(address));
      if (address.group) text += fmt::format(", group {}", *address.group);
      text += '\n';
    }
    if (!found.error.empty()) text += fmt::format("  error: {}\n", found.error);
    for (const FoundUnit& unit : found.units) text += unit_text(unit);
    if (found.asked && found.units.empty() && found.error.empty()) text += "  no logical units\n";
  }
  return text;
}

}  // namespace peerlane::cli
