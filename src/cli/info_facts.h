// What there is to tell of a disk, as a list of facts: from it come the table for people and the object for programs.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "block/device.h"
#include "initiator/lun.h"
#include "initiator/multipath.h"
#include "io/task.h"

namespace peerlane::cli {

/// One fact. Programs get `value`, people `text`, or the value if that is empty. A null value is no fact for people.
struct Fact {
  std::string key;
  nlohmann::ordered_json value;
  std::string text = {};
};

/// Facts that belong together: a member of the object, a paragraph of the table.
struct FactGroup {
  std::string key;
  std::string title;
  std::vector<Fact> facts = {};
};

/// Of any disk: identity, geometry, what it can do by itself, space.
std::vector<FactGroup> device_facts(const block::Device& disk);

/// Of a logical unit besides: what it says of itself, its limits, reservations, port groups, and its session. Asks the
/// unit; what it does not answer is left out.
io::Task<std::vector<FactGroup>> unit_facts(initiator::Lun& unit);

/// The paths to a logical unit, numbered from 1, and what each is good for.
FactGroup path_facts(const initiator::Multipath& disk);

nlohmann::ordered_json to_json(const std::vector<FactGroup>& groups);
std::string to_text(const std::vector<FactGroup>& groups);

}  // namespace peerlane::cli
