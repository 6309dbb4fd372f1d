// Parameter data of PERSISTENT RESERVE IN (SPC-4 §6.15) and PERSISTENT RESERVE OUT (§6.16).
//
// Decoders of what a target sends take data that may be cut short by the allocation length, and give what is complete.
// Decoders of parameter lists refuse what is not whole, with the sense data that the standard demands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "scsi/sense.h"
#include "scsi/transport_id.h"

namespace peerlane::scsi {

/// Service actions of PERSISTENT RESERVE IN (SPC-4 table 183).
enum class ReserveInAction : std::uint8_t {
  kReadKeys = 0,
  kReadReservation = 1,
  kReportCapabilities = 2,
  kReadFullStatus = 3,
};

/// Service actions of PERSISTENT RESERVE OUT (SPC-4 table 196).
enum class ReserveOutAction : std::uint8_t {
  kRegister = 0,
  kReserve = 1,
  kRelease = 2,
  kClear = 3,
  kPreempt = 4,
  kPreemptAndAbort = 5,
  kRegisterAndIgnoreExistingKey = 6,
  kRegisterAndMove = 7,
};

/// TYPE (SPC-4 table 187).
enum class ReservationType : std::uint8_t {
  kWriteExclusive = 1,
  kExclusiveAccess = 3,
  kWriteExclusiveRegistrantsOnly = 5,
  kExclusiveAccessRegistrantsOnly = 6,
  kWriteExclusiveAllRegistrants = 7,
  kExclusiveAccessAllRegistrants = 8,
};

/// The type of that code, if there is one.
std::optional<ReservationType> reservation_type(std::uint8_t code);

/// Others may read what is reserved.
constexpr bool is_write_exclusive(ReservationType type) {
  return type == ReservationType::kWriteExclusive || type == ReservationType::kWriteExclusiveRegistrantsOnly ||
         type == ReservationType::kWriteExclusiveAllRegistrants;
}
/// Every registered I_T nexus is a holder.
constexpr bool is_all_registrants(ReservationType type) {
  return type == ReservationType::kWriteExclusiveAllRegistrants ||
         type == ReservationType::kExclusiveAccessAllRegistrants;
}
/// One I_T nexus holds it, and all that are registered have access.
constexpr bool is_registrants_only(ReservationType type) {
  return type == ReservationType::kWriteExclusiveRegistrantsOnly ||
         type == ReservationType::kExclusiveAccessRegistrantsOnly;
}

// --- READ KEYS (SPC-4 §6.15.2) ---

struct ReservationKeys {
  std::uint32_t generation = 0;  // PRGENERATION
  std::vector<std::uint64_t> keys;

  friend bool operator==(const ReservationKeys&, const ReservationKeys&) = default;
};

std::vector<std::uint8_t> encode_reservation_keys(const ReservationKeys& keys);
std::optional<ReservationKeys> decode_reservation_keys(ByteView bytes);

// --- READ RESERVATION (SPC-4 §6.15.3) ---

struct ReservationState {
  struct Reservation {
    std::uint64_t key = 0;  // of the holder; 0 where all registrants are
    ReservationType type = ReservationType::kWriteExclusive;

    friend bool operator==(const Reservation&, const Reservation&) = default;
  };
  std::uint32_t generation = 0;
  std::optional<Reservation> reservation = {};

  friend bool operator==(const ReservationState&, const ReservationState&) = default;
};

std::vector<std::uint8_t> encode_reservation_state(const ReservationState& state);
/// Nothing also for a scope other than that of the logical unit, or an unknown type.
std::optional<ReservationState> decode_reservation_state(ByteView bytes);

// --- REPORT CAPABILITIES (SPC-4 §6.15.4) ---

struct ReservationCapabilities {
  bool compatible_handling = false;      // CRH: RESERVE and RELEASE of a holder succeed and do nothing (§5.12.3)
  bool specify_initiator_ports = false;  // SIP_C
  bool all_target_ports = false;         // ATP_C
  bool persist_capable = false;          // PTPL_C
  bool persist_active = false;           // PTPL_A
  /// ALLOW COMMANDS (table 190). 3: TEST UNIT READY is allowed through all types, MODE SENSE and the like through
  /// write exclusive ones.
  std::uint8_t allow_commands = 0;
  bool all_types = false;  // every type above, valid with TMV

  friend bool operator==(const ReservationCapabilities&, const ReservationCapabilities&) = default;
};

std::vector<std::uint8_t> encode_reservation_capabilities(const ReservationCapabilities& capabilities);
std::optional<ReservationCapabilities> decode_reservation_capabilities(ByteView bytes);

// --- READ FULL STATUS (SPC-4 §6.15.5) ---

struct FullStatus {
  struct Registration {
    std::uint64_t key = 0;
    bool all_target_ports = false;              // ALL_TG_PT
    std::optional<ReservationType> holds = {};  // R_HOLDER, with the type
    std::uint16_t relative_target_port = 0;
    TransportId initiator = {};

    friend bool operator==(const Registration&, const Registration&) = default;
  };
  std::uint32_t generation = 0;
  std::vector<Registration> registrations = {};

  friend bool operator==(const FullStatus&, const FullStatus&) = default;
};

std::vector<std::uint8_t> encode_full_status(const FullStatus& status);
std::optional<FullStatus> decode_full_status(ByteView bytes);

// --- PERSISTENT RESERVE OUT ---

inline constexpr std::size_t kReserveOutBytes = 24;

/// The basic parameter list (SPC-4 §6.16.3).
struct ReserveOutParameters {
  std::uint64_t key = 0;          // RESERVATION KEY
  std::uint64_t action_key = 0;   // SERVICE ACTION RESERVATION KEY
  bool all_target_ports = false;  // ALL_TG_PT
  bool persist = false;           // APTPL
  /// SPEC_I_PT, with the initiator ports that are to be registered besides.
  std::optional<std::vector<TransportId>> initiators = {};

  friend bool operator==(const ReserveOutParameters&, const ReserveOutParameters&) = default;
};

std::vector<std::uint8_t> encode_reserve_out(const ReserveOutParameters& parameters);
std::expected<ReserveOutParameters, Sense> decode_reserve_out(ByteView list);

/// Where SPEC_I_PT, ALL_TG_PT and APTPL are, and the length of the TransportIDs: for sense data.
inline constexpr std::size_t kReserveOutFlagsByte = 20;
inline constexpr std::size_t kReserveOutActionKeyByte = 8;

/// The parameter list of REGISTER AND MOVE (SPC-4 §6.16.4).
struct MoveParameters {
  std::uint64_t key = 0;
  std::uint64_t action_key = 0;
  bool unregister = false;  // UNREG
  bool persist = false;     // APTPL
  std::uint16_t relative_target_port = 0;
  TransportId initiator = {};

  friend bool operator==(const MoveParameters&, const MoveParameters&) = default;
};

std::vector<std::uint8_t> encode_register_and_move(const MoveParameters& parameters);
std::expected<MoveParameters, Sense> decode_register_and_move(ByteView list);

inline constexpr std::size_t kMoveFlagsByte = 17;
inline constexpr std::size_t kMoveTargetPortByte = 18;
inline constexpr std::size_t kMoveTransportIdByte = 24;

}  // namespace peerlane::scsi
