// Rows of target/command_table.h: mode pages (SPC-4 §6.11, §6.13). For target/command_table.cc alone.
#pragma once

#include "target/command_rows.h"

namespace peerlane::target::rows {

inline constexpr CommandDescription kMode[] = {
    {.operation = Op::kModeSense6,
     .name = "MODE SENSE(6)",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {4, 1},
     .answer = mode_sense_6,
     .usage = {0x1a, 0x08, 0xff, 0xff, 0xff, 0x00}},
    {.operation = Op::kModeSense10,
     .name = "MODE SENSE(10)",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {7, 2},
     .answer = mode_sense_10,
     .usage = {0x5a, 0x18, 0xff, 0xff, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00}},
};

}  // namespace peerlane::target::rows
