// REPORT SUPPORTED OPERATION CODES and REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4 §6.35 and §6.36).

#include <algorithm>
#include <chrono>

#include "base/limits.h"
#include "scsi/sense_codes.h"
#include "scsi/supported_functions.h"
#include "scsi/supported_opcodes.h"
#include "target/command_checks.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

// REPORT SUPPORTED OPERATION CODES (SPC-4 table 281).
constexpr std::size_t kOptionsByte = 2;
constexpr std::uint8_t kTimeouts = 0x80;  // RCTD
constexpr std::uint8_t kOptionsMask = 0x07;
constexpr std::uint8_t kOptionsBit = 2;
constexpr std::size_t kRequestedOperation = 3;
constexpr std::size_t kRequestedServiceAction = 4;

// What an initiator should wait, in seconds. The data of a command come and go over a network, and its disk may be busy
// with others.
constexpr scsi::CommandTimeouts kAnswerTimeouts{.nominal = 1, .recommended = 30};    // nothing from the disk
constexpr scsi::CommandTimeouts kTransferTimeouts{.nominal = 5, .recommended = 60};  // a few MiB of it
constexpr scsi::CommandTimeouts kMediumTimeouts{.nominal = 60, .recommended = 600};  // much or all of it

scsi::CommandTimeouts timeouts_of(const CommandDescription& row) {
  const bool transfer = row.most_bytes != 0 && row.most_bytes <= limits::kMaxTransferBytes;
  scsi::CommandTimeouts timeouts = row.answer != nullptr ? kAnswerTimeouts : kMediumTimeouts;
  if (transfer) timeouts = kTransferTimeouts;
  if (row.timeout != 0) {
    timeouts.recommended = row.timeout;
    timeouts.nominal = std::min(timeouts.nominal, row.timeout);
  }
  return timeouts;
}

constexpr unsigned kMostListedCdbBytes = 16;

std::size_t put_all_commands(const LogicalUnit& unit, bool timeouts, ByteSpan out) {
  scsi::SupportedCommandsWriter writer(out, timeouts);
  for (const CommandDescription& row : command_table()) {
    // libiscsi has room for the usage data of 16 bytes only, and takes longer ones for none; who knows of the long CDBs
    // asks for them one by one.
    if (!offers(unit, row) || row.cdb_length() > kMostListedCdbBytes) continue;
    writer.add({.operation_code = static_cast<std::uint8_t>(row.operation),
                .service_action = row.service_action,
                .cdb_length = static_cast<std::uint16_t>(row.cdb_length())},
               timeouts_of(row));
  }
  return writer.finish();
}

std::size_t put_one_command(const LogicalUnit& unit, const CommandDescription* row, bool timeouts, ByteSpan out) {
  scsi::CommandSupport support;
  if (row != nullptr && offers(unit, *row)) {
    support.support = scsi::Support::kStandard;
    support.usage = ByteView(row->usage).first(row->cdb_length());
    support.timeouts = timeouts_of(*row);
  }
  return scsi::encode_command_support(support, timeouts, out);
}

// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4 table 299).
constexpr std::uint8_t kExtendedData = 0x80;  // REPD, byte 2
constexpr std::size_t kFunctionsAllocationLength = 6;

// Functions wait for the backend, and are answered even if it does not let go: some margin for the network is added.
constexpr auto kFunctionTimeout = limits::kAbortGrace + std::chrono::seconds(8);
constexpr auto kFunctionTimeoutUnit = std::chrono::milliseconds(100);

}  // namespace

Answer report_supported_operation_codes(const CommandContext& context, ByteSpan out) {
  const ByteView cdb = context.cdb();
  const bool timeouts = (cdb[kOptionsByte] & kTimeouts) != 0;
  const std::uint8_t operation = cdb[kRequestedOperation];
  const std::uint16_t service_action = get_be16(cdb, kRequestedServiceAction);
  const CommandDescription* const any = find_command(operation, std::nullopt);
  const CommandDescription* const exact = find_command(operation, service_action);
  const bool has_service_actions = any != nullptr && any->service_action;

  switch (static_cast<scsi::ReportingOptions>(cdb[kOptionsByte] & kOptionsMask)) {
    case scsi::ReportingOptions::kAll:
      return put_all_commands(context.unit, timeouts, out);
    case scsi::ReportingOptions::kOperationCode:
      if (has_service_actions) break;
      return put_one_command(context.unit, any, timeouts, out);
    case scsi::ReportingOptions::kServiceAction:
      if (any != nullptr && !has_service_actions) break;
      return put_one_command(context.unit, exact, timeouts, out);
    case scsi::ReportingOptions::kEither:
      if (!has_service_actions && service_action != 0) return put_one_command(context.unit, nullptr, timeouts, out);
      return put_one_command(context.unit, exact, timeouts, out);
  }
  return std::unexpected(scsi::invalid_field_in_cdb(kOptionsByte, kOptionsBit));
}

Answer report_supported_task_management_functions(const CommandContext& context, ByteSpan out) {
  const ByteView cdb = context.cdb();
  if (get_be32(cdb, kFunctionsAllocationLength) < scsi::kSupportedFunctionsBytes) {
    return std::unexpected(scsi::invalid_field_in_cdb(kFunctionsAllocationLength));
  }
  scsi::SupportedFunctions functions;
  functions.abort_task = true;
  functions.abort_task_set = true;
  functions.clear_aca = true;
  functions.clear_task_set = true;
  functions.logical_unit_reset = true;
  functions.query_task = true;
  functions.target_reset = true;
  functions.query_asynchronous_event = true;
  functions.query_task_set = true;
  functions.nexus_reset = true;
  if ((cdb[2] & kExtendedData) == 0) return scsi::encode_supported_functions(functions, out);
  return scsi::encode_supported_functions(functions,
                                          static_cast<std::uint32_t>(kFunctionTimeout / kFunctionTimeoutUnit), out);
}

}  // namespace peerlane::target
