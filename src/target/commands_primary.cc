// TEST UNIT READY, REQUEST SENSE, REPORT LUNS, REPORT SUPPORTED OPERATION CODES (SPC-4 §6.47, §6.39, §6.33, §6.34).

#include <array>

#include "scsi/sense_codes.h"
#include "scsi/supported_opcodes.h"
#include "target/command_checks.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

constexpr std::uint8_t kDescriptorFormat = 0x01;  // DESC of REQUEST SENSE, byte 1

std::size_t put_sense(ByteView cdb, const scsi::Sense& sense, ByteSpan out) {
  return scsi::encode_sense(sense, (cdb[1] & kDescriptorFormat) != 0, out);
}

constexpr std::size_t kSelectReport = 2;

static_assert(kAnswerBytes >= scsi::kLunListHeaderBytes + 8 * limits::kLuns);

Answer put_lun_list(ByteView cdb, std::span<const scsi::Lun> luns, ByteSpan out) {
  switch (static_cast<scsi::SelectReport>(cdb[kSelectReport])) {
    case scsi::SelectReport::kAddressable:
    case scsi::SelectReport::kAll:
    case scsi::SelectReport::kTopLevel:
      return scsi::encode_lun_list(luns, out);
    // There are no well known logical units and no conglomerates, so these lists are empty.
    case scsi::SelectReport::kWellKnown:
    case scsi::SelectReport::kAdministrative:
    case scsi::SelectReport::kSubsidiaries:
      return scsi::encode_lun_list({}, out);
  }
  return std::unexpected(scsi::invalid_field_in_cdb(kSelectReport));
}

// REPORT SUPPORTED OPERATION CODES (SPC-4 table 281).
constexpr std::size_t kOptionsByte = 2;
constexpr std::uint8_t kTimeouts = 0x80;  // RCTD
constexpr std::uint8_t kOptionsMask = 0x07;
constexpr std::uint8_t kOptionsBit = 2;
constexpr std::size_t kRequestedOperation = 3;
constexpr std::size_t kRequestedServiceAction = 4;
constexpr unsigned kMostListedCdbBytes = 16;

std::size_t put_all_commands(const LogicalUnit& unit, bool timeouts, ByteSpan out) {
  scsi::SupportedCommandsWriter writer(out, timeouts);
  for (const CommandDescription& row : command_table()) {
    // libiscsi has room for the usage data of 16 bytes only, and takes longer ones for none; who knows of the long CDBs
    // asks for them one by one.
    if (!offers(unit, row) || row.cdb_length() > kMostListedCdbBytes) continue;
    writer.add({.operation_code = static_cast<std::uint8_t>(row.operation),
                .service_action = row.service_action,
                .cdb_length = static_cast<std::uint16_t>(row.cdb_length())});
  }
  return writer.finish();
}

std::size_t put_one_command(const LogicalUnit& unit, const CommandDescription* row, bool timeouts, ByteSpan out) {
  scsi::CommandSupport support;
  if (row != nullptr && offers(unit, *row)) {
    support.support = scsi::Support::kStandard;
    support.usage = ByteView(row->usage).first(row->cdb_length());
  }
  return scsi::encode_command_support(support, timeouts, out);
}

}  // namespace

Answer test_unit_ready(const CommandContext&, ByteSpan) {
  return std::size_t{0};
}

Answer request_sense(const CommandContext& context, ByteSpan out) {
  scsi::Sense sense;
  if (const auto attention = context.nexus.attentions().take()) {
    sense = *attention;
  } else if (const auto sanitize = context.unit.condition().sanitize_sense()) {
    sense = *sanitize;
  } else if (!context.unit.started()) {
    sense.key = scsi::SenseKey::kNotReady;
    sense.code = scsi::sense_codes::kInitializingCommandRequired;
  }
  return put_sense(context.cdb(), sense, out);
}

Answer request_sense_without_unit(ByteView cdb, ByteSpan out) {
  return put_sense(cdb, scsi::illegal_request(scsi::sense_codes::kLogicalUnitNotSupported), out);
}

Answer report_luns(const CommandContext& context, ByteSpan out) {
  return report_luns_without_unit(context.cdb(), context.nexus.view(), out);
}

Answer report_luns_without_unit(ByteView cdb, NexusView& view, ByteSpan out) {
  // The initiator is about to learn what that unit attention would tell it (SPC-4 §6.33).
  view.clear_attention(scsi::sense_codes::kReportedLunsChanged);
  return put_lun_list(cdb, view.luns(), out);
}

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

}  // namespace peerlane::target
