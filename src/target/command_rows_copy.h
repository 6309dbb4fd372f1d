// Rows of target/command_table.h: third-party copies (SPC-4 §6.3 to §6.5, §6.22 to §6.25, §6.28, §6.31; SBC-3 §5.7, §5.45).
// For target/command_table.cc alone.
//
// What a copy does to the units that it reads and writes is checked for each of them by itself; the rows are about the
// unit that the command is sent to.
#pragma once

#include "target/command_rows.h"

namespace peerlane::target::rows {

constexpr CommandDescription extended_copy_row(std::uint8_t service_action, std::string_view name) {
  return {.operation = Op::kThirdPartyCopyOut,
          .service_action = service_action,
          .name = name,
          .direction = DataDirection::kOut,
          .reservation = ReservationClass::kWrite,
          .work = extended_copy,
          .timeout = kCopyTimeout,
          .usage = {0x83, service_action, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0}};
}

inline constexpr CommandDescription kCopy[] = {
    extended_copy_row(scsi::kExtendedCopyLid1, "EXTENDED COPY(LID1)"),
    extended_copy_row(scsi::kExtendedCopyLid4, "EXTENDED COPY(LID4)"),
    {.operation = Op::kThirdPartyCopyOut,
     .service_action = scsi::kPopulateToken,
     .name = "POPULATE TOKEN",
     .needs = kNeedsStarted,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kRead,
     .work = populate_token,
     .usage = {0x83, 0x10, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0}},
    {.operation = Op::kThirdPartyCopyOut,
     .service_action = scsi::kWriteUsingToken,
     .name = "WRITE USING TOKEN",
     .needs = kNeedsStarted | kNeedsWriteAccess,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .work = write_using_token,
     .timeout = kCopyTimeout,
     .usage = {0x83, 0x11, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0}},
    {.operation = Op::kThirdPartyCopyOut,
     .service_action = scsi::kCopyOperationAbort,
     .name = "COPY OPERATION ABORT",
     .answer = abort_copy_operation,
     .usage = {0x83, 0x1c, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
    {.operation = Op::kThirdPartyCopyIn,
     .service_action = scsi::kReceiveCopyStatusLid1,
     .name = "RECEIVE COPY STATUS(LID1)",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {10, 4},
     .answer = receive_copy_status,
     .usage = {0x84, 0x00, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0}},
    {.operation = Op::kThirdPartyCopyIn,
     .service_action = scsi::kReceiveCopyOperatingParameters,
     .name = "RECEIVE COPY OPERATING PARAMETERS",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {10, 4},
     .answer = receive_copy_operating_parameters,
     .usage = {0x84, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0}},
    {.operation = Op::kThirdPartyCopyIn,
     .service_action = scsi::kReceiveCopyFailureDetails,
     .name = "RECEIVE COPY FAILURE DETAILS(LID1)",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {10, 4},
     .answer = receive_copy_failure_details,
     .usage = {0x84, 0x04, 0xff, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0}},
    {.operation = Op::kThirdPartyCopyIn,
     .service_action = scsi::kReceiveCopyStatusLid4,
     .name = "RECEIVE COPY STATUS(LID4)",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {10, 4},
     .answer = receive_copy_status,
     .usage = {0x84, 0x05, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0}},
    {.operation = Op::kThirdPartyCopyIn,
     .service_action = scsi::kReceiveRodTokenInformation,
     .name = "RECEIVE ROD TOKEN INFORMATION",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {10, 4},
     .answer = receive_rod_token_information,
     .usage = {0x84, 0x07, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0}},
    {.operation = Op::kThirdPartyCopyIn,
     .service_action = scsi::kReportAllRodTokens,
     .name = "REPORT ALL ROD TOKENS",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {10, 4},
     .work = report_all_rod_tokens,
     .usage = {0x84, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0}},
};

}  // namespace peerlane::target::rows
