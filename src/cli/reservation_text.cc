#include "cli/reservation_text.h"

#include <array>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace peerlane::cli {
namespace {

using nlohmann::ordered_json;
using scsi::ReservationType;

struct TypeName {
  ReservationType type;
  std::string_view name;
  std::string_view letters;
};
constexpr std::array<TypeName, 6> kTypes{{
    {ReservationType::kWriteExclusive, "write-exclusive", "we"},
    {ReservationType::kExclusiveAccess, "exclusive-access", "ea"},
    {ReservationType::kWriteExclusiveRegistrantsOnly, "write-exclusive-registrants-only", "wero"},
    {ReservationType::kExclusiveAccessRegistrantsOnly, "exclusive-access-registrants-only", "earo"},
    {ReservationType::kWriteExclusiveAllRegistrants, "write-exclusive-all-registrants", "wear"},
    {ReservationType::kExclusiveAccessAllRegistrants, "exclusive-access-all-registrants", "eaar"},
}};

const char* yes_or_no(bool value) {
  return value ? "yes" : "no";
}

std::string port_text(const scsi::TransportId& id) {
  return id.isid ? fmt::format("{},i,0x{:012x}", id.name, *id.isid) : id.name;
}

}  // namespace

std::string_view name(ReservationType type) {
  for (const TypeName& each : kTypes) {
    if (each.type == type) return each.name;
  }
  return "unknown";
}

std::optional<ReservationType> reservation_type_named(std::string_view name) {
  for (const TypeName& each : kTypes) {
    if (each.name == name || each.letters == name) return each.type;
  }
  return std::nullopt;
}

std::string key_text(std::uint64_t key) {
  return fmt::format("0x{:x}", key);
}

ordered_json to_json(const scsi::ReservationKeys& keys) {
  ordered_json list = ordered_json::array();
  for (const std::uint64_t key : keys.keys) list.push_back(key_text(key));
  return {{"generation", keys.generation}, {"keys", list}};
}

ordered_json to_json(const scsi::ReservationState& state) {
  ordered_json reservation = nullptr;
  if (state.reservation) {
    reservation = {{"key", key_text(state.reservation->key)}, {"type", name(state.reservation->type)}};
  }
  return {{"generation", state.generation}, {"reservation", reservation}};
}

ordered_json to_json(const scsi::ReservationCapabilities& capabilities) {
  return {{"compatible_handling", capabilities.compatible_handling},
          {"specify_initiator_ports", capabilities.specify_initiator_ports},
          {"all_target_ports", capabilities.all_target_ports},
          {"persist_capable", capabilities.persist_capable},
          {"persist_active", capabilities.persist_active},
          {"allow_commands", capabilities.allow_commands},
          {"all_types", capabilities.all_types}};
}

ordered_json to_json(const scsi::FullStatus& status) {
  ordered_json list = ordered_json::array();
  for (const auto& each : status.registrations) {
    list.push_back({{"key", key_text(each.key)},
                    {"initiator", port_text(each.initiator)},
                    {"holds", each.holds ? ordered_json(name(*each.holds)) : ordered_json(nullptr)},
                    {"all_target_ports", each.all_target_ports},
                    {"relative_target_port", each.relative_target_port}});
  }
  return {{"generation", status.generation}, {"registrations", list}};
}

std::string to_text(const scsi::ReservationKeys& keys) {
  if (keys.keys.empty()) return fmt::format("no keys (generation {})\n", keys.generation);
  std::string text = fmt::format("generation {}\n", keys.generation);
  for (const std::uint64_t key : keys.keys) text += fmt::format("{}\n", key_text(key));
  return text;
}

std::string to_text(const scsi::ReservationState& state) {
  if (!state.reservation) return fmt::format("not reserved (generation {})\n", state.generation);
  return fmt::format("{} by key {} (generation {})\n", name(state.reservation->type), key_text(state.reservation->key),
                     state.generation);
}

std::string to_text(const scsi::ReservationCapabilities& capabilities) {
  return fmt::format(
      "RESERVE and RELEASE of a holder do nothing: {}\n"
      "other initiator ports can be registered (SPEC_I_PT): {}\n"
      "all target ports at once (ALL_TG_PT): {}\n"
      "survives loss of power (APTPL): {}{}\n"
      "all six types: {}\n",
      yes_or_no(capabilities.compatible_handling), yes_or_no(capabilities.specify_initiator_ports),
      yes_or_no(capabilities.all_target_ports), yes_or_no(capabilities.persist_capable),
      capabilities.persist_active ? ", and does now" : "", yes_or_no(capabilities.all_types));
}

std::string to_text(const scsi::FullStatus& status) {
  if (status.registrations.empty()) return fmt::format("no keys (generation {})\n", status.generation);
  std::string text = fmt::format("generation {}\n", status.generation);
  for (const auto& each : status.registrations) {
    text += fmt::format("{} of {}", key_text(each.key), port_text(each.initiator));
    text +=
        each.all_target_ports ? " at all target ports" : fmt::format(" at target port {}", each.relative_target_port);
    if (each.holds) text += fmt::format(", holds {}", name(*each.holds));
    text += '\n';
  }
  return text;
}

}  // namespace peerlane::cli
