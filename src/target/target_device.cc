#include "target/target_device.h"

#include <algorithm>
#include <cassert>

#include "scsi/sense_codes.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

/// What a command gets where there is no logical unit (SAM-5 §5.11): INQUIRY and REQUEST SENSE are answered everywhere,
/// REPORT LUNS at LUN 0; all else is refused.
Answer answer_without_unit(Nexus& nexus, scsi::OperationCode operation, bool lun_0, ByteView cdb, ByteSpan out) {
  switch (operation) {
    case scsi::OperationCode::kInquiry:
      return inquiry_without_unit(cdb, out);
    case scsi::OperationCode::kRequestSense:
      return request_sense_without_unit(cdb, out);
    case scsi::OperationCode::kReportLuns:
      if (lun_0) return report_luns_without_unit(cdb, nexus, out);
      break;
    default:
      break;
  }
  return std::unexpected(scsi::illegal_request(scsi::sense_codes::kLogicalUnitNotSupported));
}

io::Task<Completion> execute_without_unit(Nexus& nexus, bool lun_0, Command& command) {
  const auto found = find_command(command.cdb());
  if (!found || (*found)->answer == nullptr) {
    co_return Completion::check(scsi::illegal_request(scsi::sense_codes::kLogicalUnitNotSupported));
  }
  const CommandDescription& description = **found;
  if (const auto sense = check_cdb(description, command.cdb())) co_return Completion::check(*sense);
  std::optional<io::Buffer> buffer = co_await command.allocate(kAnswerBytes);
  if (!buffer) co_return Completion::good();
  const Answer size = answer_without_unit(nexus, description.operation, lun_0, command.cdb(), buffer->bytes());
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
  std::unique_ptr<Nexus> nexus(new Nexus(std::move(name)));
  for (const scsi::Lun lun : luns_) nexus->units_[lun.value] = units_[lun.value]->attach(*nexus);
  nexus->luns_ = luns_;
  return nexus;
}

io::Task<Completion> TargetDevice::execute(Nexus& nexus, std::uint64_t lun_field, Command& command) {
  const auto lun = scsi::decode_lun(lun_field);
  ItlNexus* const itl = lun ? nexus.find(*lun) : nullptr;
  if (itl == nullptr) return execute_without_unit(nexus, lun == scsi::Lun{0}, command);
  return itl->unit().execute(*itl, command);
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
