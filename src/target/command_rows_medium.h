// Rows of target/command_table.h: the medium as a whole (SBC-4 §4.11), and what a medium that can neither be removed
// nor wear out makes of commands for others. For target/command_table.cc alone.
#pragma once

#include "target/command_rows.h"

namespace peerlane::target::rows {

inline constexpr CommandDescription kMedium[] = {
    {.operation = Op::kPreventAllowMediumRemoval,
     .name = "PREVENT ALLOW MEDIUM REMOVAL",
     .reservation = ReservationClass::kWrite,
     .answer = prevent_allow_medium_removal,
     .usage = {0x1e, 0x00, 0x00, 0x00, 0x01, 0x00}},
    {.operation = Op::kSanitize,
     .service_action = scsi::kSanitizeOverwrite,
     .name = "SANITIZE, OVERWRITE",
     .needs = kNeedsStarted | kNeedsWriteAccess | kEndsSanitizeFailure,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .work = sanitize,
     .usage = {0x48, 0xa1, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00}},
    {.operation = Op::kSanitize,
     .service_action = scsi::kSanitizeBlockErase,
     .name = "SANITIZE, BLOCK ERASE",
     .needs = kNeedsStarted | kNeedsWriteAccess | kEndsSanitizeFailure | kNeedsUnmap,
     .reservation = ReservationClass::kWrite,
     .work = sanitize,
     .usage = {0x48, 0xa2, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00}},
    {.operation = Op::kSanitize,
     .service_action = scsi::kSanitizeExitFailureMode,
     .name = "SANITIZE, EXIT FAILURE MODE",
     .needs = kEndsSanitizeFailure,
     .reservation = ReservationClass::kWrite,
     .work = sanitize,
     .usage = {0x48, 0xbf, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00}},
};

}  // namespace peerlane::target::rows
