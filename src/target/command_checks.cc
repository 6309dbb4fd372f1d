#include "target/command_checks.h"

#include "scsi/sense_codes.h"
#include "target/logical_unit.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;

std::optional<Completion> refuse(scsi::SenseKey key, scsi::SenseCode code) {
  scsi::Sense sense;
  sense.key = key;
  sense.code = code;
  return Completion::check(sense);
}

/// A write for which the initiator is prepared to read would write nothing and still succeed. A read without room for
/// its data does no harm, and shows in the residual count.
bool directions_agree(const CommandContext& context) {
  return context.description.direction != DataDirection::kOut || context.command.data_in_length() == 0;
}

/// A sanitize operation that goes on or has failed, and deferred errors.
std::optional<Completion> check_condition(const CommandContext& context) {
  const unsigned needs = context.description.needs;
  if ((needs & kDespiteAttention) != 0) return std::nullopt;
  UnitCondition& condition = context.unit.condition();
  if (const auto sense = condition.sanitize_sense()) {
    if (condition.sanitizing() || (needs & kEndsSanitizeFailure) == 0) return Completion::check(*sense);
  }
  if (const auto sense = condition.take_deferred()) return Completion::check(*sense);
  return std::nullopt;
}

bool conflicts(const CommandContext& context) {
  const ConflictSet conflicting = context.nexus.conflicts();
  if ((conflicting & conflict(context.description.reservation)) == 0) return false;
  const CdbForm& allowed = context.description.never_conflicts;
  return allowed.mask == 0 || (context.cdb()[allowed.byte] & allowed.mask) != allowed.value;
}

/// Unit attentions and reservation conflicts, in the order of SAM-5 §5.3.3: resets, reservation conflict, all others.
std::optional<Completion> check_nexus(const CommandContext& context) {
  UnitAttentionQueue& attentions = context.nexus.attentions();
  const bool pending = attentions.pending() && (context.description.needs & kDespiteAttention) == 0;
  if (pending) {
    if (const auto reset = attentions.take_reset()) return Completion::check(*reset);
  }
  if (conflicts(context)) return Completion{scsi::Status::kReservationConflict, std::nullopt};
  if (pending) {
    if (const auto attention = attentions.take()) return Completion::check(*attention);
  }
  return std::nullopt;
}

/// What the state of the target port lets through (SPC-4 §5.16.2.4).
std::optional<Completion> check_access(const CommandContext& context) {
  const AccessNeed needed = context.description.access;
  switch (context.nexus.access_state()) {
    case scsi::AccessState::kStandby:
      if (needed >= AccessNeed::kStandby) break;
      return refuse(scsi::SenseKey::kNotReady, codes::kTargetPortStandby);
    case scsi::AccessState::kUnavailable:
      if (needed >= AccessNeed::kUnavailable) break;
      return refuse(scsi::SenseKey::kNotReady, codes::kTargetPortUnavailable);
    case scsi::AccessState::kTransitioning:
      if (needed >= AccessNeed::kTransitioning) break;
      return refuse(scsi::SenseKey::kNotReady, codes::kAccessStateTransition);
    default:
      break;
  }
  return std::nullopt;
}

/// Writing may be refused for good, or because SWP is set (SPC-4 §7.5.8).
std::optional<Completion> check_write_access(const LogicalUnit& unit) {
  if (unit.read_only()) return refuse(scsi::SenseKey::kDataProtect, codes::kWriteProtected);
  if (!unit.modes().current().software_write_protect) return std::nullopt;
  return refuse(scsi::SenseKey::kDataProtect, codes::kSoftwareWriteProtected);
}

std::optional<Completion> check_blocks(CommandContext& context) {
  const CommandDescription& description = context.description;
  context.blocks = scsi::decode_block_cdb(context.cdb());
  scsi::BlockCdb& blocks = context.blocks;
  const scsi::BlockCount capacity = context.unit.capacity();
  if (blocks.lba.value > capacity.value) return refuse(scsi::SenseKey::kIllegalRequest, codes::kLbaOutOfRange);
  if (blocks.count.value == 0 && (description.needs & kZeroMeansRest) != 0) {
    blocks.count = scsi::Lba{capacity.value} - blocks.lba;
  }
  if (!scsi::within(blocks.lba, blocks.count, capacity)) {
    return refuse(scsi::SenseKey::kIllegalRequest, codes::kLbaOutOfRange);
  }
  if (description.most_bytes != 0 && blocks.count.value > description.most_bytes / context.unit.block_size()) {
    return Completion::check(scsi::invalid_field_in_cdb(scsi::transfer_length_field(description.operation).offset));
  }
  return std::nullopt;
}

}  // namespace

bool offers(const LogicalUnit& unit, const CommandDescription& description) {
  const unsigned needs = description.needs;
  // A write protected unit says that it is write protected, not that it does not know the command.
  const bool unmap = unit.capabilities().unmap || unit.capabilities().read_only;
  if ((needs & kNeedsUnmap) != 0 && !unmap) return false;
  if ((needs & kNeedsAtomicWrite) != 0 && !unit.capabilities().atomic_write) return false;
  return (needs & kNeedsState) == 0 || unit.keeps_state();
}

std::optional<Completion> check_command(CommandContext& context) {
  const unsigned needs = context.description.needs;
  if (!offers(context.unit, context.description)) {
    return refuse(scsi::SenseKey::kIllegalRequest, codes::kInvalidOperationCode);
  }
  if (const auto attention_or_conflict = check_nexus(context)) return attention_or_conflict;
  if (context.unit.condition().any()) {
    if (const auto refused = check_condition(context)) return refused;
  }
  if (const auto sense = check_cdb(context.description, context.cdb())) return Completion::check(*sense);
  if (context.nexus.access_state() > scsi::AccessState::kNonOptimized) {
    if (const auto refused = check_access(context)) return refused;
  }
  if (!directions_agree(context)) {
    return refuse(scsi::SenseKey::kIllegalRequest, codes::kInvalidFieldInCommandInformationUnit);
  }
  if ((needs & kNeedsStarted) != 0 && !context.unit.started()) {
    return refuse(scsi::SenseKey::kNotReady, codes::kInitializingCommandRequired);
  }
  if ((needs & kNeedsStarted) != 0 && context.unit.has_orphans()) return Completion{scsi::Status::kBusy, {}};
  if ((needs & kNeedsWriteAccess) != 0) {
    if (const auto refused = check_write_access(context.unit)) return refused;
  }
  if ((needs & kNeedsBlocks) != 0) return check_blocks(context);
  return std::nullopt;
}

}  // namespace peerlane::target
