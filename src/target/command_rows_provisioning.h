// Rows of target/command_table.h: logical block provisioning (SBC-4 §4.7). For target/command_table.cc alone.
#pragma once

#include "target/command_rows.h"

namespace peerlane::target::rows {

inline constexpr CommandDescription kProvisioning[] = {
    {.operation = Op::kWriteSame10,
     .name = "WRITE SAME(10)",
     .needs = kWritesMedium | kZeroMeansRest,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .most_bytes = kWriteSame,
     .work = write_same,
     .usage = {0x41, 0x08, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x00}},
    {.operation = Op::kUnmap,
     .name = "UNMAP",
     .needs = kNeedsStarted | kNeedsWriteAccess | kNeedsUnmap,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .work = unmap_blocks,
     .usage = {0x42, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3f, 0xff, 0xff, 0x00}},
    {.operation = Op::kWriteSame16,
     .name = "WRITE SAME(16)",
     .needs = kWritesMedium | kZeroMeansRest,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .most_bytes = kWriteSame,
     .work = write_same,
     .usage = {0x93, 0x09, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00}},
    {.operation = Op::kServiceActionIn16,
     .service_action = scsi::kGetLbaStatus,
     .name = "GET LBA STATUS(16)",
     .needs = kNeedsStarted | kNeedsUnmap,
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {10, 4},
     .work = get_lba_status,
     .usage = {0x9e, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00}},
};

}  // namespace peerlane::target::rows
