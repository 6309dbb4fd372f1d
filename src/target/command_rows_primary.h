// Rows of target/command_table.h: any SCSI device (SPC-4). For target/command_table.cc alone.
#pragma once

#include "target/command_rows.h"

namespace peerlane::target::rows {

inline constexpr CommandDescription kPrimary[] = {
    {.operation = Op::kTestUnitReady,
     .name = "TEST UNIT READY",
     .needs = kNeedsStarted,
     .reservation = ReservationClass::kUnreserved,
     .answer = test_unit_ready,
     .usage = {0x00}},
    {.operation = Op::kRequestSense,
     .name = "REQUEST SENSE",
     .needs = kDespiteAttention,
     .direction = DataDirection::kIn,
     .allocation_length = {4, 1},
     .answer = request_sense,
     .usage = {0x03, 0x01, 0x00, 0x00, 0xff, 0x00}},
    {.operation = Op::kInquiry,
     .name = "INQUIRY",
     .needs = kDespiteAttention,
     .direction = DataDirection::kIn,
     .allocation_length = {3, 2},
     .answer = inquiry,
     .usage = {0x12, 0x01, 0xff, 0xff, 0xff, 0x00}},
    {.operation = Op::kReportLuns,
     .name = "REPORT LUNS",
     .needs = kDespiteAttention,
     .direction = DataDirection::kIn,
     .allocation_length = {6, 4},
     .answer = report_luns,
     .usage = {0xa0, 0x00, 0xff, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00}},
    {.operation = Op::kMaintenanceIn,
     .service_action = scsi::kReportSupportedOperationCodes,
     .name = "REPORT SUPPORTED OPERATION CODES",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {6, 4},
     .answer = report_supported_operation_codes,
     .usage = {0xa3, 0x0c, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00}},
};

}  // namespace peerlane::target::rows
