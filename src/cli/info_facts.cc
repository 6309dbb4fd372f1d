#include "cli/info_facts.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/units.h"
#include "cli/reservation_text.h"
#include "initiator/unit_access.h"
#include "scsi/opcodes.h"
#include "scsi/persistent_reservation.h"
#include "scsi/port_groups.h"

namespace peerlane::cli {
namespace {

using nlohmann::ordered_json;

Fact size_fact(std::string key, std::uint64_t bytes) {
  return {std::move(key), bytes, format_size(bytes)};
}

/// A limit in blocks: bytes for programs, 0 is none.
Fact limit_fact(std::string key, std::uint64_t blocks, std::uint32_t block_size) {
  if (blocks == 0) return {std::move(key), nullptr};
  // "As many as can be counted" is what units say that have no limit.
  if (blocks >= 0xffffffff) return {std::move(key), nullptr};
  return size_fact(std::move(key), blocks * block_size);
}

Fact text_fact(std::string key, const std::string& text) {
  return {std::move(key), text.empty() ? ordered_json(nullptr) : ordered_json(text)};
}

std::string hex(ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::string printable(ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    if (byte == 0) break;
    text += byte >= ' ' && byte <= '~' ? static_cast<char>(byte) : '_';
  }
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

const char* provisioning_text(scsi::ProvisioningType type) {
  switch (type) {
    case scsi::ProvisioningType::kFull:
      return "full";
    case scsi::ProvisioningType::kResource:
      return "resource";
    case scsi::ProvisioningType::kThin:
      return "thin";
  }
  return "unknown";
}

std::string designator_text(const scsi::Designator& designator) {
  switch (designator.type) {
    case scsi::DesignatorType::kNaa:
      return "naa." + hex(designator.bytes);
    case scsi::DesignatorType::kEui64:
      return "eui." + hex(designator.bytes);
    case scsi::DesignatorType::kT10VendorId:
      return "t10." + printable(designator.bytes);
    case scsi::DesignatorType::kScsiNameString:
      return printable(designator.bytes);
    default:
      return {};
  }
}

/// What a mode page tells; nobody is told while another initiator has the unit for itself.
Fact mode_fact(std::string key, bool value, const initiator::UnitFacts& facts) {
  if (facts.reserved) return {std::move(key), nullptr, "not known: another initiator has reserved the unit"};
  return {std::move(key), value};
}

FactGroup unit_group(const initiator::UnitFacts& facts) {
  ordered_json names = ordered_json::array();
  std::string text;
  for (const scsi::Designator& designator : facts.designators) {
    const std::string name = designator_text(designator);
    if (name.empty() || designator.association != scsi::Association::kLogicalUnit) continue;
    names.push_back(name);
    text += (text.empty() ? "" : ", ") + name;
  }
  FactGroup group{"unit", "Logical unit"};
  group.facts = {text_fact("vendor", facts.inquiry.vendor),
                 text_fact("product", facts.inquiry.product),
                 text_fact("revision", facts.inquiry.revision),
                 text_fact("serial", facts.serial),
                 {"names", names, text.empty() ? "none" : text}};
  const std::uint16_t rate = facts.characteristics.rotation_rate;
  if (rate == scsi::kNonRotating) {
    group.facts.push_back({"rotation", 0, "none (solid state)"});
  } else if (rate != 0) {
    group.facts.push_back({"rotation", rate, fmt::format("{} a minute", rate)});
  }
  const scsi::LogicalBlockProvisioning& provisioning = facts.provisioning;
  group.facts.insert(group.facts.end(),
                     {{"provisioning", provisioning_text(provisioning.type)},
                      {"unmapped_reads_zeroes", provisioning.reads_zeroes || facts.capacity.reads_zeroes},
                      mode_fact("write_protected", facts.write_protected, facts),
                      mode_fact("write_cache", facts.write_cache, facts),
                      {"third_party_copy", facts.inquiry.third_party_copy}});
  return group;
}

FactGroup limits_group(const initiator::UnitFacts& facts) {
  const std::uint32_t block = facts.capacity.block_size;
  const scsi::BlockLimits& limits = facts.limits;
  FactGroup group{"limits", "Limits of one command"};
  group.facts = {limit_fact("transfer", limits.max_transfer, block),
                 limit_fact("optimal_transfer", limits.optimal_transfer, block),
                 limit_fact("unmap", limits.max_unmap_blocks, block),
                 limit_fact("unmap_alignment", limits.unmap_alignment.value_or(0), block),
                 limit_fact("write_same", limits.max_write_same, block),
                 limit_fact("compare_and_write", limits.max_compare_and_write, block),
                 limit_fact("atomic_write", limits.max_atomic_transfer, block)};
  return group;
}

FactGroup session_group(const initiator::Session& session) {
  const initiator::SessionOptions& options = session.options();
  const initiator::LoginOutcome& login = session.login();
  const iscsi::Parameters& parameters = login.parameters;
  const auto digest = [](bool on) { return on ? "CRC32C" : "none"; };
  FactGroup group{"session", "Session"};
  group.facts = {
      text_fact("target", options.login.target_name),
      text_fact("alias", login.target_alias),
      text_fact("initiator", options.login.initiator_name),
      text_fact("isid", hex(options.login.isid)),
      {"portal_group", login.group ? ordered_json(*login.group) : ordered_json(nullptr)},
      {"chap", options.login.account.has_value(), options.login.account ? "given" : "no account given"},
      {"header_digest", digest(parameters.header_digest)},
      {"data_digest", digest(parameters.data_digest)},
      {"immediate_data", parameters.immediate_data},
      {"initial_r2t", parameters.initial_r2t},
      size_fact("first_burst", parameters.first_burst_length),
      size_fact("max_burst", parameters.max_burst_length),
      size_fact("target_takes", parameters.peer_max_recv_data_segment_length),
      size_fact("initiator_takes", parameters.our_max_recv_data_segment_length),
      {"outstanding_r2ts", parameters.max_outstanding_r2t},
      {"command_window", login.max_cmd_sn.steps_from(login.cmd_sn) + 1},
  };
  return group;
}

io::Task<FactGroup> reservations_group(initiator::Lun& unit) {
  FactGroup group{"reservations", "Persistent reservations"};
  const auto state_bytes = co_await unit.reserve_in(scsi::ReserveInAction::kReadReservation);
  const auto state = state_bytes ? scsi::decode_reservation_state(*state_bytes) : std::nullopt;
  if (!state) {
    group.facts.push_back({"supported", false, "none"});
    co_return group;
  }
  const auto key_bytes = co_await unit.reserve_in(scsi::ReserveInAction::kReadKeys);
  const auto keys = key_bytes ? scsi::decode_reservation_keys(*key_bytes) : std::nullopt;
  group.facts.push_back({"supported", true});
  ordered_json held = nullptr;
  std::string text = "none";
  if (state->reservation) {
    held = {{"type", name(state->reservation->type)}, {"key", key_text(state->reservation->key)}};
    text = fmt::format("{} by key {}", name(state->reservation->type), key_text(state->reservation->key));
  }
  group.facts.push_back({"reservation", std::move(held), text});
  if (keys) {
    ordered_json list = ordered_json::array();
    std::string words;
    for (const std::uint64_t key : keys->keys) {
      list.push_back(key_text(key));
      words += (words.empty() ? "" : ", ") + key_text(key);
    }
    group.facts.push_back({"keys", std::move(list), words.empty() ? "none" : words});
  }
  co_return group;
}

const char* state_text(scsi::AccessState state) {
  switch (state) {
    case scsi::AccessState::kOptimized:
      return "active/optimized";
    case scsi::AccessState::kNonOptimized:
      return "active/non-optimized";
    case scsi::AccessState::kStandby:
      return "standby";
    case scsi::AccessState::kUnavailable:
      return "unavailable";
    case scsi::AccessState::kBlockDependent:
      return "logical block dependent";
    case scsi::AccessState::kOffline:
      return "offline";
    case scsi::AccessState::kTransitioning:
      return "transitioning";
  }
  return "unknown";
}

/// REPORT TARGET PORT GROUPS (SPC-4 §6.37), where the unit says that it has them.
io::Task<FactGroup> port_groups_group(initiator::Lun& unit) {
  constexpr std::size_t kBytes = 4096;
  FactGroup group{"port_groups", "Target port groups"};
  if (unit.facts().inquiry.target_port_groups == 0) co_return group;
  std::vector<std::uint8_t> bytes(kBytes);
  initiator::Request request;
  request.cdb[0] = static_cast<std::uint8_t>(scsi::OperationCode::kMaintenanceIn);
  request.cdb[1] = static_cast<std::uint8_t>(scsi::kReportTargetPortGroups);
  put_be32(request.cdb, 6, kBytes);
  request.data_in = bytes;
  request.repeatable = true;
  const auto result = co_await unit.execute(request);
  if (!result || !result->good()) co_return group;
  bytes.resize(result->transferred);
  const auto groups = scsi::decode_port_groups(bytes);
  if (!groups) co_return group;
  for (const scsi::TargetPortGroup& each : *groups) {
    ordered_json value = {{"state", state_text(each.state)}, {"preferred", each.preferred}, {"ports", each.ports}};
    std::string text = state_text(each.state);
    if (each.preferred) text += ", preferred";
    text += ", ports";
    for (const std::uint16_t port : each.ports) text += fmt::format(" {}", port);
    group.facts.push_back({std::to_string(each.group), std::move(value), std::move(text)});
  }
  co_return group;
}

std::string value_text(const Fact& fact) {
  if (!fact.text.empty()) return fact.text;
  if (fact.value.is_boolean()) return fact.value.get<bool>() ? "yes" : "no";
  if (fact.value.is_string()) return fact.value.get<std::string>();
  return fact.value.dump();
}

}  // namespace

std::vector<FactGroup> device_facts(const block::Device& disk) {
  const block::Identity identity = disk.identity();
  const block::Geometry geometry = disk.geometry();
  const block::Capabilities can = disk.capabilities();
  std::vector<FactGroup> groups;
  groups.push_back({"identity",
                    "Disk",
                    {text_fact("disk", identity.spec),
                     {"stable", identity.stable.empty() ? ordered_json(nullptr) : ordered_json(identity.stable),
                      identity.stable.empty() ? "" : identity.stable}}});
  groups.push_back({"geometry",
                    "Geometry",
                    {geometry.size == 0 ? Fact{"size", nullptr, "not known: another initiator has reserved the unit"}
                                        : Fact{"size", geometry.size,
                                               fmt::format("{} ({} bytes)", format_size(geometry.size), geometry.size)},
                     {"logical_block_size", geometry.logical_block_size},
                     {"physical_block_size", geometry.physical_block_size}}});
  FactGroup abilities{"capabilities", "What it can do by itself"};
  abilities.facts = {
      {"write", !can.read_only},
      {"unmap", can.unmap},
      {"unmap_granularity", can.unmap_granularity == 0 ? ordered_json(nullptr) : ordered_json(can.unmap_granularity)},
      {"write_zeroes", can.write_zeroes},
      {"allocation", can.allocation},
      {"volatile_cache", can.volatile_cache},
      {"fua", can.fua},
      {"atomic_write", can.atomic_write}};
  groups.push_back(std::move(abilities));
  if (const auto space = disk.space()) {
    FactGroup group{"space", "Space", {size_fact("used", space->used)}};
    if (space->available) group.facts.push_back(size_fact("available", *space->available));
    groups.push_back(std::move(group));
  }
  return groups;
}

io::Task<std::vector<FactGroup>> unit_facts(initiator::Lun& unit) {
  std::vector<FactGroup> groups;
  groups.push_back(unit_group(unit.facts()));
  groups.push_back(limits_group(unit.facts()));
  FactGroup reservations = co_await reservations_group(unit);
  groups.push_back(std::move(reservations));
  FactGroup ports = co_await port_groups_group(unit);
  if (!ports.facts.empty()) groups.push_back(std::move(ports));
  groups.push_back(session_group(unit.session()));
  co_return groups;
}

FactGroup path_facts(const initiator::Multipath& disk) {
  FactGroup group{"paths", "Paths"};
  for (const initiator::Multipath::PathStatus& path : disk.paths()) {
    ordered_json value = {{"portal", path.portal}, {"session", path.session}, {"state", name(path.rank)}};
    std::string text = fmt::format("{}: {}, {}", path.portal, name(path.rank), path.session);
    group.facts.push_back({std::to_string(group.facts.size() + 1), std::move(value), std::move(text)});
  }
  return group;
}

ordered_json to_json(const std::vector<FactGroup>& groups) {
  ordered_json json = ordered_json::object();
  for (const FactGroup& group : groups) {
    ordered_json& member = json[group.key] = ordered_json::object();
    for (const Fact& fact : group.facts) member[fact.key] = fact.value;
  }
  return json;
}

std::string to_text(const std::vector<FactGroup>& groups) {
  std::string text;
  for (const FactGroup& group : groups) {
    std::string lines;
    for (const Fact& fact : group.facts) {
      if (fact.value.is_null() && fact.text.empty()) continue;
      std::string label = fact.key;
      std::ranges::replace(label, '_', ' ');
      lines += fmt::format("  {:<22} {}\n", label, value_text(fact));
    }
    if (!lines.empty()) text += fmt::format("{}{}:\n{}", text.empty() ? "" : "\n", group.title, lines);
  }
  return text;
}

}  // namespace peerlane::cli
