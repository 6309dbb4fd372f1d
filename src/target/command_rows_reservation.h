// Rows of target/command_table.h: persistent reservations (SPC-4 §6.15, §6.16), and RESERVE and RELEASE of older
// standards (SPC-2 §7.18 to §7.22), without third parties and extents. For target/command_table.cc alone.
//
// PERSISTENT RESERVE OUT is checked against persistent reservations by its own rules (SPC-4 table 68), as are RESERVE
// and RELEASE against all: target/reservations.h.
#pragma once

#include "scsi/persistent_reservation.h"
#include "target/command_rows.h"

namespace peerlane::target::rows {

constexpr CommandDescription reserve_in(scsi::ReserveInAction action, std::string_view name) {
  const auto code = static_cast<std::uint8_t>(action);
  return {.operation = Op::kPersistentReserveIn,
          .service_action = code,
          .name = name,
          .direction = DataDirection::kIn,
          .reservation = ReservationClass::kExclusive,
          .access = AccessNeed::kStandby,
          .allocation_length = {7, 2},
          .work = persistent_reserve_in,
          .usage = {0x5e, code, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00}};
}

constexpr CommandDescription reserve_out(scsi::ReserveOutAction action, std::string_view name) {
  const auto code = static_cast<std::uint8_t>(action);
  return {.operation = Op::kPersistentReserveOut,
          .service_action = code,
          .name = name,
          .direction = DataDirection::kOut,
          .reservation = ReservationClass::kExclusive,
          .access = AccessNeed::kStandby,
          .work = persistent_reserve_out,
          .usage = {0x5f, code, 0xff, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00}};
}

inline constexpr CommandDescription kReservation[] = {
    {.operation = Op::kReserve6, .name = "RESERVE(6)", .work = reserve_unit, .usage = {0x16}},
    {.operation = Op::kRelease6, .name = "RELEASE(6)", .work = release_unit, .usage = {0x17}},
    {.operation = Op::kReserve10, .name = "RESERVE(10)", .work = reserve_unit, .usage = {0x56}},
    {.operation = Op::kRelease10, .name = "RELEASE(10)", .work = release_unit, .usage = {0x57}},
    reserve_in(scsi::ReserveInAction::kReadKeys, "PERSISTENT RESERVE IN, READ KEYS"),
    reserve_in(scsi::ReserveInAction::kReadReservation, "PERSISTENT RESERVE IN, READ RESERVATION"),
    reserve_in(scsi::ReserveInAction::kReportCapabilities, "PERSISTENT RESERVE IN, REPORT CAPABILITIES"),
    reserve_in(scsi::ReserveInAction::kReadFullStatus, "PERSISTENT RESERVE IN, READ FULL STATUS"),
    reserve_out(scsi::ReserveOutAction::kRegister, "PERSISTENT RESERVE OUT, REGISTER"),
    reserve_out(scsi::ReserveOutAction::kReserve, "PERSISTENT RESERVE OUT, RESERVE"),
    reserve_out(scsi::ReserveOutAction::kRelease, "PERSISTENT RESERVE OUT, RELEASE"),
    reserve_out(scsi::ReserveOutAction::kClear, "PERSISTENT RESERVE OUT, CLEAR"),
    reserve_out(scsi::ReserveOutAction::kPreempt, "PERSISTENT RESERVE OUT, PREEMPT"),
    reserve_out(scsi::ReserveOutAction::kPreemptAndAbort, "PERSISTENT RESERVE OUT, PREEMPT AND ABORT"),
    reserve_out(scsi::ReserveOutAction::kRegisterAndIgnoreExistingKey,
                "PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY"),
    reserve_out(scsi::ReserveOutAction::kRegisterAndMove, "PERSISTENT RESERVE OUT, REGISTER AND MOVE"),
};

}  // namespace peerlane::target::rows
