#include "target/target_device.h"

#include <algorithm>
#include <cassert>

#include "scsi/sense_codes.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

/// The places that are no logical unit of this target's, and still answer some commands.
enum class Place : std::uint8_t {
  kNowhere,
  kLun0,       // there is none, but it answers REPORT LUNS (SAM-5 §5.11)
  kWellKnown,  // the REPORT LUNS well known logical unit (SPC-4 §8.2)
};

/// For all that is not answered there.
scsi::Sense refusal_in(Place place) {
  return scsi::illegal_request(place == Place::kWellKnown ? scsi::sense_codes::kInvalidOperationCode
                                                          : scsi::sense_codes::kLogicalUnitNotSupported);
}

/// INQUIRY and REQUEST SENSE are answered everywhere; TEST UNIT READY and REPORT LUNS in some places; all else is
/// refused.
Answer answer_in(Place place, const std::string& target_name, Nexus& nexus, scsi::OperationCode operation, ByteView cdb,
                 ByteSpan out) {
  const bool well_known = place == Place::kWellKnown;
  switch (operation) {
    case scsi::OperationCode::kInquiry:
      return well_known ? inquiry_of_well_known_unit(target_name, cdb, out) : inquiry_without_unit(cdb, out);
    case scsi::OperationCode::kRequestSense:
      return well_known ? request_sense_of_well_known_unit(cdb, out) : request_sense_without_unit(cdb, out);
    case scsi::OperationCode::kReportLuns:
      if (place != Place::kNowhere) return report_luns_without_unit(cdb, nexus, out);
      break;
    case scsi::OperationCode::kTestUnitReady:
      if (well_known) return std::size_t{0};
      break;
    default:
      break;
  }
  return std::unexpected(refusal_in(place));
}

io::Task<Completion> execute_in(Place place, const std::string& target_name, Nexus& nexus, Command& command) {
  const auto found = find_command(command.cdb());
  if (!found || (*found)->answer == nullptr) {
    co_return Completion::check(refusal_in(place));
  }
  const CommandDescription& description = **found;
  if (const auto sense = check_cdb(description, command.cdb())) co_return Completion::check(*sense);
  std::optional<io::Buffer> buffer = co_await command.allocate(kAnswerBytes);
  if (!buffer) co_return Completion::good();
  const Answer size = answer_in(place, target_name, nexus, description.operation, command.cdb(), buffer->bytes());
  if (!size) co_return Completion::check(size.error());
  send_answer(command, description, std::move(*buffer), *size);
  co_return Completion::good();
}

}  // namespace

void Nexus::clear_attention(scsi::SenseCode code) {
  for (const scsi::Lun lun : luns_) units_[lun.value]->attentions().clear(code);
}

void TargetDevice::add(scsi::Lun lun, std::unique_ptr<LogicalUnit> unit) {
  assert(lun.value < units_.size() && units_[lun.value] == nullptr);
  units_[lun.value] = std::move(unit);
  luns_.insert(std::ranges::upper_bound(luns_, lun), lun);
}

std::unique_ptr<Nexus> TargetDevice::attach(NexusName name) {
  std::unique_ptr<Nexus> nexus(new Nexus(std::move(name), tokens_, copy_settings_));
  for (const scsi::Lun lun : luns_) nexus->units_[lun.value] = units_[lun.value]->attach(*nexus);
  nexus->luns_ = luns_;
  return nexus;
}

io::Task<Completion> TargetDevice::execute(Nexus& nexus, std::uint64_t lun_field, Command& command) {
  const auto lun = scsi::decode_lun(lun_field);
  ItlNexus* const itl = lun ? nexus.find(*lun) : nullptr;
  if (itl != nullptr) return itl->unit().execute(*itl, command);
  Place place = Place::kNowhere;
  if (lun == scsi::Lun{0}) place = Place::kLun0;
  if (lun_field == scsi::kReportLunsWellKnown) place = Place::kWellKnown;
  return execute_in(place, name_, nexus, command);
}

LogicalUnit* TargetDevice::find(std::uint64_t lun_field) const {
  const auto lun = scsi::decode_lun(lun_field);
  return lun && lun->value < units_.size() ? units_[lun->value].get() : nullptr;
}

bool TargetDevice::descriptor_sense(std::uint64_t lun_field) const {
  const LogicalUnit* const unit = find(lun_field);
  return unit != nullptr && unit->descriptor_sense();
}

}  // namespace peerlane::target
