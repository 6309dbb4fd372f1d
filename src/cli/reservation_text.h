// Persistent reservations (SPC-4 §6.15) in words and in JSON, as `peerlane pr` and `peerlane info` tell of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "scsi/persistent_reservation.h"

namespace peerlane::cli {

/// "write-exclusive", "exclusive-access-registrants-only" and so on.
std::string_view name(scsi::ReservationType type);
/// The type of that name, or of its short form: we, ea, wero, earo, wear, eaar.
std::optional<scsi::ReservationType> reservation_type_named(std::string_view name);

/// A key as people give it: "0x1f".
std::string key_text(std::uint64_t key);

nlohmann::ordered_json to_json(const scsi::ReservationKeys& keys);
nlohmann::ordered_json to_json(const scsi::ReservationState& state);
nlohmann::ordered_json to_json(const scsi::ReservationCapabilities& capabilities);
nlohmann::ordered_json to_json(const scsi::FullStatus& status);

std::string to_text(const scsi::ReservationKeys& keys);
std::string to_text(const scsi::ReservationState& state);
std::string to_text(const scsi::ReservationCapabilities& capabilities);
std::string to_text(const scsi::FullStatus& status);

}  // namespace peerlane::cli
