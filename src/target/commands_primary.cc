// TEST UNIT READY, REQUEST SENSE, REPORT LUNS (SPC-4 §6.47, §6.39, §6.33).

#include <array>

#include "scsi/sense_codes.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

constexpr std::uint8_t kDescriptorFormat = 0x01;  // DESC of REQUEST SENSE, byte 1

std::size_t put_sense(ByteView cdb, const scsi::Sense& sense, ByteSpan out) {
  return scsi::encode_sense(sense, (cdb[1] & kDescriptorFormat) != 0, out);
}

constexpr std::size_t kSelectReport = 2;
constexpr std::array kWellKnown{scsi::kReportLunsWellKnown};
constexpr std::array<std::uint64_t, 0> kNoWellKnown{};

static_assert(kAnswerBytes >= scsi::kLunListHeaderBytes + 8 * (limits::kLuns + 1));

Answer put_lun_list(ByteView cdb, std::span<const scsi::Lun> luns, ByteSpan out) {
  switch (static_cast<scsi::SelectReport>(cdb[kSelectReport])) {
    case scsi::SelectReport::kAddressable:
    case scsi::SelectReport::kTopLevel:
      return scsi::encode_lun_list(luns, kNoWellKnown, out);
    case scsi::SelectReport::kWellKnown:
      return scsi::encode_lun_list({}, kWellKnown, out);
    case scsi::SelectReport::kAll:
      return scsi::encode_lun_list(luns, kWellKnown, out);
    // There are no conglomerates, so these lists are empty.
    case scsi::SelectReport::kAdministrative:
    case scsi::SelectReport::kSubsidiaries:
      return scsi::encode_lun_list({}, kNoWellKnown, out);
  }
  return std::unexpected(scsi::invalid_field_in_cdb(kSelectReport));
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

Answer request_sense_of_well_known_unit(ByteView cdb, ByteSpan out) {
  return put_sense(cdb, {}, out);
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

}  // namespace peerlane::target
