// What the owner of a logical unit notes in it: REPORT and SET IDENTIFYING INFORMATION (SPC-4 §6.31, §6.44), REPORT and
// SET TIMESTAMP (§6.38, §6.46); and REPORT PRIORITY (§6.32), where there is nothing to note.

#include <array>

#include "scsi/identifying_information.h"
#include "scsi/priority.h"
#include "scsi/sense_codes.h"
#include "scsi/timestamp.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

constexpr std::size_t kParameterListLength = 6;
constexpr std::uint8_t kInformationTypeBit = 7;
constexpr std::size_t kPriorityReported = 2;
constexpr unsigned kPriorityReportedShift = 6;
constexpr std::uint8_t kPriorityReportedBit = 7;

constexpr std::array kTypes{scsi::InformationType::kIdentifier, scsi::InformationType::kText};

scsi::Sense unknown_type() {
  return scsi::invalid_field_in_cdb(scsi::kInformationTypeByte, kInformationTypeBit);
}

/// Text ends with NUL, and has no other (SPC-4 §5.6).
bool well_formed(scsi::InformationType type, ByteView information) {
  if (type != scsi::InformationType::kText || information.empty()) return true;
  return as_text(information).find('\0') == information.size() - 1;
}

}  // namespace

Answer report_identifying_information(const CommandContext& context, ByteSpan out) {
  const scsi::InformationType type = scsi::information_type(context.cdb());
  if (type == scsi::InformationType::kSupported) {
    std::array<scsi::SupportedInformation, kTypes.size()> supported{};
    for (std::size_t i = 0; i < kTypes.size(); ++i) {
      supported.at(i) = {kTypes.at(i), static_cast<std::uint16_t>(UnitInformation::most_bytes(kTypes.at(i)))};
    }
    return scsi::encode_supported_information(supported, out);
  }
  if (UnitInformation::most_bytes(type) == 0) return std::unexpected(unknown_type());
  return scsi::encode_identifying_information(as_bytes(context.unit.information().get(type)), out);
}

io::Task<Completion> set_identifying_information(CommandContext context) {
  const scsi::InformationType type = scsi::information_type(context.cdb());
  const std::size_t length = get_be32(context.cdb(), kParameterListLength);
  const std::size_t most = UnitInformation::most_bytes(type);
  if (most == 0) co_return Completion::check(unknown_type());
  if (length > most) co_return Completion::check(scsi::invalid_field_in_cdb(kParameterListLength));
  std::string information;
  if (length != 0) {
    const ParameterList list = co_await receive_parameter_list(context, length);
    if (!list) co_return list.error();
    information = as_text(list->bytes().first(length));
  }
  if (!well_formed(type, as_bytes(information))) {
    co_return Completion::check(scsi::invalid_field_in_parameter_list(0));
  }
  const auto turn = context.unit.information().changes().take();
  if (!turn) co_return Completion{scsi::Status::kBusy, std::nullopt};
  auto saved = co_await context.unit.information().set(type, std::move(information));
  if (!saved) {
    scsi::Sense sense;
    sense.key = scsi::SenseKey::kHardwareError;
    sense.code = scsi::sense_codes::kInternalTargetFailure;
    co_return Completion::check(sense);
  }
  context.unit.establish(scsi::sense_codes::kDeviceIdentifierChanged, &context.nexus);
  co_return Completion::good();
}

/// Commands have no priorities: that of every I_T nexus is the initial one, none.
Answer report_priority(const CommandContext& context, ByteSpan out) {
  switch (static_cast<scsi::PriorityReported>(context.cdb()[kPriorityReported] >> kPriorityReportedShift)) {
    case scsi::PriorityReported::kOwn: {
      const NexusName& name = context.nexus.view().name();
      const scsi::NexusPriority own{.relative_target_port = name.portal_group,
                                    .initiator = {.name = name.initiator, .isid = name.isid}};
      return scsi::encode_priorities(std::span(&own, 1), out);
    }
    case scsi::PriorityReported::kChanged:
      return scsi::encode_priorities({}, out);
  }
  return std::unexpected(scsi::invalid_field_in_cdb(kPriorityReported, kPriorityReportedBit));
}

Answer report_timestamp(const CommandContext& context, ByteSpan out) {
  return scsi::encode_timestamp(context.unit.timestamp().at(UnitTimestamp::host_clock()), out);
}

io::Task<Completion> set_timestamp(CommandContext context) {
  const std::size_t length = get_be32(context.cdb(), kParameterListLength);
  if (length == 0) co_return Completion::good();
  if (length < scsi::kTimestampBytes) {
    co_return Completion::check(scsi::illegal_request(scsi::sense_codes::kParameterListLengthError));
  }
  const ParameterList list = co_await receive_parameter_list(context, length);
  if (!list) co_return list.error();
  context.unit.timestamp().set(scsi::decode_set_timestamp(list->bytes()), UnitTimestamp::host_clock());
  context.unit.establish(scsi::sense_codes::kTimestampChanged, &context.nexus);
  co_return Completion::good();
}

}  // namespace peerlane::target
