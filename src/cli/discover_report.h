// What `peerlane discover` has found, and how it tells that.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "iscsi/send_targets.h"

namespace peerlane::cli {

struct FoundUnit {
  std::uint32_t lun = 0;
  std::string url = {};
  std::string vendor = {};
  std::string product = {};
  std::string serial = {};
  std::string identity = {};  // as initiator::stable_identity(); empty: it does not say
  std::uint64_t size = 0;
  std::uint32_t block_size = 0;
  std::string error = {};  // why there is no more; empty: all is well
};

struct FoundTarget {
  iscsi::DiscoveredTarget target;
  std::string alias;
  bool asked = false;  // for its logical units
  std::vector<FoundUnit> units;
  std::string error;  // it could not be asked
};

nlohmann::ordered_json to_json(const std::string& portal, const std::vector<FoundTarget>& targets);
std::string to_text(const std::vector<FoundTarget>& targets);

}  // namespace peerlane::cli
