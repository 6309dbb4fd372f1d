// Rows of target/command_table.h: mode pages (SPC-4 §6.9 to §6.12). For target/command_table.cc alone.
#pragma once

#include "target/command_rows.h"

namespace peerlane::target::rows {

inline constexpr CommandDescription kMode[] = {
    {.operation = Op::kModeSelect6,
     .name = "MODE SELECT(6)",
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .access = AccessNeed::kStandby,
     .work = mode_select_6,
     .timeout = kParameterTimeout,
     .usage = {0x15, 0x11, 0x00, 0x00, 0xff, 0x00}},
    {.operation = Op::kModeSelect10,
     .name = "MODE SELECT(10)",
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .access = AccessNeed::kStandby,
     .work = mode_select_10,
     .timeout = kParameterTimeout,
     .usage = {0x55, 0x11, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00}},
    {.operation = Op::kModeSense6,
     .name = "MODE SENSE(6)",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .access = AccessNeed::kStandby,
     .allocation_length = {4, 1},
     .answer = mode_sense_6,
     .usage = {0x1a, 0x08, 0xff, 0xff, 0xff, 0x00}},
    {.operation = Op::kModeSense10,
     .name = "MODE SENSE(10)",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .access = AccessNeed::kStandby,
     .allocation_length = {7, 2},
     .answer = mode_sense_10,
     .usage = {0x5a, 0x18, 0xff, 0xff, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00}},
};

}  // namespace peerlane::target::rows
