// Persistent reservations as they are kept across a loss of power (SPC-4 §5.12.5): JSON, described in
// docs/state-files.md.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "target/persistent_reservations.h"

namespace peerlane::target {

/// What is to be kept of `reservations`: all of it, or without APTPL that there is nothing.
std::string encode_reservation_record(const PersistentReservations& reservations);

/// Reads it back. Error, EBADMSG: what is wrong, as the end of a sentence about the record.
Result<PersistentReservations> decode_reservation_record(std::string_view text);

}  // namespace peerlane::target
