#include "target/reservation_record.h"

#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "iscsi/name.h"

namespace peerlane::target {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr std::uint64_t kMostIsid = 0xffff'ffff'ffff;

std::unexpected<Error> wrong(std::string what) {
  return fail(EBADMSG, std::move(what));
}

std::string hex(std::uint64_t value) {
  return fmt::format("0x{:x}", value);
}

/// A member of an object; null if there is none.
const Json* member(const Json& object, const char* name) {
  const auto at = object.find(name);
  return at != object.end() ? &*at : nullptr;
}

std::optional<std::uint64_t> read_hex(const Json* value, std::uint64_t most) {
  if (value == nullptr || !value->is_string()) return std::nullopt;
  const std::string& text = value->get_ref<const std::string&>();
  if (!text.starts_with("0x")) return std::nullopt;
  std::uint64_t number = 0;
  const auto parsed = std::from_chars(text.data() + 2, text.data() + text.size(), number, 16);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || number > most) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> read_number(const Json* value, std::uint64_t most) {
  if (value == nullptr || !value->is_number_unsigned() || value->get<std::uint64_t>() > most) return std::nullopt;
  return value->get<std::uint64_t>();
}

Result<PersistentReservations::Registration> read_registration(const Json& object) {
  if (!object.is_object()) return wrong("has a registration that is no object");
  const Json* const initiator = member(object, "initiator");
  const auto isid = read_hex(member(object, "isid"), kMostIsid);
  const auto port = read_number(member(object, "target_port"), UINT16_MAX);
  const auto key = read_hex(member(object, "key"), UINT64_MAX);
  const Json* const holder = member(object, "holder");
  if (initiator == nullptr || !initiator->is_string() ||
      iscsi::normalise_name(initiator->get_ref<const std::string&>()) != initiator->get_ref<const std::string&>()) {
    return wrong("has a registration without a good initiator");
  }
  if (!isid || !port || !key) return wrong("has a registration without a good isid, target_port or key");
  if (holder != nullptr && !holder->is_boolean()) return wrong("has a registration with a bad holder");
  return PersistentReservations::Registration{{initiator->get<std::string>(), *isid, static_cast<std::uint16_t>(*port)},
                                              *key,
                                              holder != nullptr && holder->get<bool>()};
}

}  // namespace

std::string encode_reservation_record(const PersistentReservations& reservations) {
  Json record = {{"version", kVersion}, {"registrations", Json::array()}};
  if (reservations.persist()) {
    for (const PersistentReservations::Registration& registration : reservations.registrations()) {
      Json entry = {{"initiator", registration.nexus.initiator},
                    {"isid", hex(registration.nexus.isid)},
                    {"target_port", registration.nexus.portal_group},
                    {"key", hex(registration.key)}};
      if (registration.holds) entry["holder"] = true;
      record["registrations"].push_back(std::move(entry));
    }
    if (reservations.type()) record["reservation_type"] = static_cast<unsigned>(*reservations.type());
  }
  return record.dump(1) + "\n";
}

Result<PersistentReservations> decode_reservation_record(std::string_view text) {
  const Json record = Json::parse(text, nullptr, false);
  if (!record.is_object()) return wrong("is no JSON object");
  const auto version = read_number(member(record, "version"), UINT64_MAX);
  if (version != kVersion) return wrong("is of a version that this program cannot read");
  const Json* const entries = member(record, "registrations");
  if (entries == nullptr || !entries->is_array()) return wrong("has no registrations");
  std::vector<PersistentReservations::Registration> registrations;
  for (const Json& entry : *entries) {
    auto registration = read_registration(entry);
    if (!registration) return std::unexpected(registration.error());
    registrations.push_back(std::move(*registration));
  }
  std::optional<scsi::ReservationType> type;
  if (const Json* const code = member(record, "reservation_type")) {
    type = scsi::reservation_type(static_cast<std::uint8_t>(read_number(code, UINT8_MAX).value_or(0)));
    if (!type) return wrong("has a reservation_type that does not exist");
  }
  if (registrations.empty() && !type) return PersistentReservations();
  auto restored = PersistentReservations::restore(std::move(registrations), type);
  if (!restored) return wrong("contradicts itself");
  return std::move(*restored);
}

}  // namespace peerlane::target
