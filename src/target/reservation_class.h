// How commands fare against reservations.
#pragma once

#include <cstdint>

namespace peerlane::target {

/// How a command fares against the reservation of another I_T nexus (SPC-4 table 67, SBC-4 table 13; for RESERVE, SPC-2
/// table 10).
enum class ReservationClass : std::uint8_t {
  kAllowed,     // never conflicts
  kUnreserved,  // conflicts with another's RESERVE, with no persistent reservation
  kExclusive,   // conflicts with anybody's RESERVE: the commands of persistent reservations themselves
  kRead,        // conflicts with another's RESERVE, and with exclusive access
  kWrite,       // conflicts with another's RESERVE, with write exclusive and exclusive access
};

/// The classes of commands that conflict for an I_T nexus at some time; a bit for each.
using ConflictSet = unsigned;

constexpr ConflictSet conflict(ReservationClass which) {
  return which == ReservationClass::kAllowed ? 0u : 1u << static_cast<unsigned>(which);
}

}  // namespace peerlane::target
