// EXTENDED COPY in both its forms, COPY OPERATION ABORT and RECEIVE COPY (SPC-4 §6.3 to §6.5, §6.22 to §6.25).
//
// All segments are checked (target/copy_resolution.h) before the first byte is moved (target/copy_run.h).

#include <algorithm>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "copy/job.h"
#include "scsi/copy_results.h"
#include "scsi/extended_copy.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"
#include "target/copy_manager.h"
#include "target/copy_resolution.h"
#include "target/copy_run.h"

namespace peerlane::target {
namespace {

namespace codes = scsi::sense_codes;

constexpr scsi::CdbField kListLength{10, 4};

}  // namespace

io::Task<Completion> extended_copy(CommandContext context) {
  CopyManager* const copies = context.nexus.view().copies();
  if (copies == nullptr) co_return Completion::check(scsi::illegal_request(codes::kInvalidOperationCode));
  const std::uint64_t length = scsi::get_field(context.cdb(), kListLength);
  if (length == 0) co_return Completion::good();
  ParameterList received = co_await receive_parameter_list(context, length);
  if (!received) co_return received.error();
  const bool lid4 = context.description.service_action == scsi::kExtendedCopyLid4;
  const auto form = lid4 ? scsi::CopyForm::kLid4 : scsi::CopyForm::kLid1;
  const auto list = scsi::decode_extended_copy(form, received->bytes(), CopyManager::parameters());
  if (!list) co_return Completion::check(list.error());
  received->release();
  auto moves = co_await resolve_copy(context.nexus, *list);
  if (!moves) co_return Completion::check(moves.error());
  const bool named = list->usage != scsi::ListIdUsage::kNone;
  if (named && copies->in_use(form, list->list_identifier)) {
    co_return Completion::check(scsi::illegal_request(codes::kOperationInProgress));
  }
  CopyOperation* const operation = copies->begin(form, list->list_identifier, named);
  if (operation == nullptr) co_return Completion::check(scsi::copy_aborted(codes::kInsufficientResources, 0));
  operation->initiator = context.nexus.view().name().initiator;
  operation->service_action = *context.description.service_action;
  operation->priority = list->priority;
  auto completion = co_await run_command(*copies, std::move(*moves), *operation, context.command, list->immediate);
  co_return completion;
}

std::expected<CopyOperation*, scsi::Sense> named_operation(const CommandContext& context, scsi::CopyForm form) {
  CopyManager* const copies = context.nexus.view().copies();
  if (copies == nullptr) return std::unexpected(scsi::illegal_request(codes::kInvalidOperationCode));
  const auto cdb = scsi::decode_copy_cdb(context.cdb());
  CopyOperation* const found = cdb ? copies->find(form, cdb->list_identifier) : nullptr;
  if (found == nullptr) return std::unexpected(scsi::invalid_field_in_cdb(2));
  return found;
}

namespace {

Answer put(const std::vector<std::uint8_t>& data, ByteSpan out) {
  const std::size_t size = std::min(data.size(), out.size());
  std::copy_n(data.begin(), size, out.begin());
  return size;
}

std::vector<std::uint8_t> sense_bytes(const LogicalUnit& unit, const Completion& completion) {
  std::vector<std::uint8_t> bytes;
  if (!completion.sense) return bytes;
  bytes.resize(scsi::kMaxSenseBytes);
  bytes.resize(scsi::encode_sense(*completion.sense, unit.descriptor_sense(), bytes));
  return bytes;
}

std::uint64_t bytes_so_far(const CopyOperation& operation) {
  return operation.bytes + (operation.job != nullptr ? operation.job->progress().done : 0);
}

bool failed(const CopyOperation& operation) {
  return operation.ended && operation.completion.status != scsi::Status::kGood;
}

std::vector<std::uint8_t> status_lid1(const CopyOperation& operation) {
  using enum scsi::CopyCommandStatus;
  scsi::CopyStatusLid1 status;
  status.status = !operation.ended ? kInProgress : failed(operation) ? kFailed : kDone;
  status.segments = operation.segments;
  scsi::set_transferred(status, bytes_so_far(operation));
  return scsi::encode_copy_status(status);
}

}  // namespace

scsi::CopyStatus copy_status(const LogicalUnit& unit, const CopyOperation& operation) {
  using enum scsi::CopyOperationStatus;
  scsi::CopyStatus status;
  status.service_action = static_cast<std::uint8_t>(operation.service_action);
  status.status = operation.canceled     ? kTerminated
                  : failed(operation)    ? kFailed
                  : operation.ended      ? operation.success
                  : operation.background ? kInBackground
                                         : kInForeground;
  const std::uint64_t bytes = bytes_so_far(operation);
  if (operation.block != 0) status.units = scsi::TransferUnits::kBlocks;
  status.count = operation.block != 0 ? bytes / operation.block : bytes;
  status.segments = operation.segments;
  status.operations = static_cast<std::uint16_t>(bytes >> 20 | operation.segments);
  if (operation.ended) {
    status.update_delay = scsi::kUpdateDelayEnded;
    status.completion = static_cast<std::uint8_t>(operation.completion.status);
    status.sense = sense_bytes(unit, operation.completion);
  }
  return status;
}

Answer abort_copy_operation(const CommandContext& context, ByteSpan) {
  const auto operation = named_operation(context, scsi::CopyForm::kLid4);
  if (!operation) return std::unexpected(operation.error());
  if (!(*operation)->ended) (*operation)->canceled = true;
  return std::size_t{0};
}

Answer receive_copy_status(const CommandContext& context, ByteSpan out) {
  const bool lid1 = context.description.service_action == scsi::kReceiveCopyStatusLid1;
  const auto operation = named_operation(context, lid1 ? scsi::CopyForm::kLid1 : scsi::CopyForm::kLid4);
  if (!operation) return std::unexpected(operation.error());
  return put(lid1 ? status_lid1(**operation) : scsi::encode_copy_status(copy_status(context.unit, **operation)), out);
}

Answer receive_copy_operating_parameters(const CommandContext& context, ByteSpan out) {
  if (context.nexus.view().copies() == nullptr) {
    return std::unexpected(scsi::illegal_request(codes::kInvalidOperationCode));
  }
  return put(scsi::encode_copy_operating_parameters(CopyManager::parameters()), out);
}

Answer receive_copy_failure_details(const CommandContext& context, ByteSpan out) {
  const auto operation = named_operation(context, scsi::CopyForm::kLid1);
  if (!operation) return std::unexpected(operation.error());
  std::optional<scsi::CopyFailure> failure;
  if (failed(**operation)) {
    failure = scsi::CopyFailure{static_cast<std::uint8_t>((*operation)->completion.status),
                                sense_bytes(context.unit, (*operation)->completion)};
    // They are told once (SPC-4 §6.22).
    context.nexus.view().copies()->forget(**operation);
  }
  return put(scsi::encode_copy_failure(failure), out);
}

}  // namespace peerlane::target
