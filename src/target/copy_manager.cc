#include "target/copy_manager.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "scsi/copy_segment.h"
#include "scsi/cscd.h"
#include "target/command_table.h"

namespace peerlane::target {

const scsi::CopyOperatingParameters& CopyManager::parameters() {
  static const scsi::CopyOperatingParameters kParameters{
      .no_list_identifier = true,
      .max_cscds = limits::kCopyCscds,
      .max_segments = limits::kCopySegments,
      .max_descriptor_bytes = limits::kCopyDescriptorBytes,
      .max_segment_bytes = 0,
      .max_inline_bytes = 0,
      .held_data_bytes = 0,
      .max_stream_transfer = 0,
      .total_copies = limits::kCopies,
      .concurrent_copies = limits::kCopies,
      .data_granularity = 9,
      .inline_granularity = 0,
      .held_granularity = 0,
      .descriptor_types = {scsi::kBlockToBlock, scsi::kVerifyCscd, scsi::kBlockOffsetToBlockOffset,
                           scsi::kIdentificationCscd, scsi::kIpv4Cscd, scsi::kIpv6Cscd, scsi::kIpCopyServiceCscd,
                           scsi::kCscdExtension}};
  return kParameters;
}

scsi::TokenLimits CopyManager::token_limits(std::uint32_t block_size) {
  return {.max_ranges = limits::kTokenRanges,
          .max_inactivity = limits::kMostTokenInactivity.count(),
          .default_inactivity = limits::kTokenInactivity.count(),
          .max_blocks = limits::kTokenBytes / block_size,
          .optimal_blocks = limits::kOptimalTokenBytes / block_size};
}

scsi::ThirdPartyCopyPage CopyManager::page(std::uint32_t block_size, bool remote_tokens) {
  using enum scsi::OperationCode;
  const scsi::CopyOperatingParameters& own = parameters();
  scsi::ThirdPartyCopyPage page;
  page.token_limits = token_limits(block_size);
  for (const scsi::OperationCode operation : {kThirdPartyCopyOut, kThirdPartyCopyIn}) {
    scsi::SupportedCopyCommand& command = page.commands.emplace_back();
    command.operation_code = static_cast<std::uint8_t>(operation);
    for (const CommandDescription& row : command_table()) {
      if (row.operation != operation) continue;
      command.service_actions.push_back(static_cast<std::uint8_t>(*row.service_action));
    }
  }
  page.parameters = {.max_cscds = own.max_cscds,
                     .max_segments = own.max_segments,
                     .max_descriptor_bytes = own.max_descriptor_bytes,
                     .max_inline_bytes = own.max_inline_bytes};
  page.descriptor_types = own.descriptor_types;
  page.cscd_ids = {scsi::kAddressedUnit};
  page.token_features =
      scsi::RodTokenFeatures{.remote_tokens = remote_tokens ? scsi::kRemoteTokensUsed : std::uint8_t{0},
                             .min_lifetime = limits::kTokenLifetime.count(),
                             .max_lifetime = limits::kTokenLifetime.count(),
                             .max_inactivity = limits::kMostTokenInactivity.count(),
                             .optimal_granularity = 0,
                             .max_bytes = limits::kTokenBytes,
                             .optimal_bytes = limits::kOptimalTokenBytes,
                             .optimal_bytes_to_token = limits::kOptimalTokenBytes,
                             .optimal_bytes_from_token = limits::kOptimalTokenBytes};
  const auto rod = [](scsi::RodType type, bool out, std::uint16_t preference) {
    return scsi::SupportedRod{
        .type = type, .internal = false, .token_in = true, .token_out = out, .preference = preference};
  };
  page.rods = {rod(scsi::RodType::kPointInTime, true, 2), rod(scsi::RodType::kPointInTimeVulnerable, true, 1),
               rod(scsi::RodType::kPointInTimePersistent, true, 3), rod(scsi::RodType::kPointInTimeAny, true, 4),
               rod(scsi::RodType::kBlockZero, false, 5)};
  page.general = {.total_copies = own.total_copies,
                  .identified_copies = own.concurrent_copies,
                  .max_segment_bytes = 0,
                  .data_granularity = own.data_granularity,
                  .inline_granularity = 0};
  return page;
}

bool CopyManager::in_use(scsi::CopyForm form, std::uint32_t list_identifier) const {
  return std::ranges::any_of(operations_, [&](const CopyOperation& operation) {
    return operation.named && !operation.ended && operation.form == form &&
           operation.list_identifier == list_identifier;
  });
}

CopyOperation* CopyManager::begin(scsi::CopyForm form, std::uint32_t list_identifier, bool named) {
  const auto going_on = std::ranges::count_if(operations_, [](const auto& operation) { return !operation.ended; });
  if (static_cast<std::size_t>(going_on) >= limits::kCopies) return nullptr;
  if (named) {
    operations_.remove_if([&](const CopyOperation& operation) {
      return operation.ended && operation.form == form && operation.list_identifier == list_identifier;
    });
  }
  CopyOperation& operation = operations_.emplace_back();
  operation.form = form;
  operation.list_identifier = list_identifier;
  operation.named = named;
  return &operation;
}

void CopyManager::end(CopyOperation& operation, const Completion& completion) {
  operation.ended = true;
  operation.completion = completion;
  operation.job = nullptr;
  operation.rod = nullptr;
  if (!operation.named) {
    forget(operation);
    return;
  }
  const auto kept = static_cast<std::size_t>(
      std::ranges::count_if(operations_, [](const CopyOperation& each) { return each.ended; }));
  std::size_t surplus = kept - std::min(kept, limits::kCopyResults);
  operations_.remove_if([&](const CopyOperation& each) {
    const bool goes = each.ended && surplus > 0;
    if (goes) --surplus;
    return goes;
  });
}

CopyOperation* CopyManager::find(scsi::CopyForm form, std::uint32_t list_identifier) {
  const auto found = std::ranges::find_if(operations_, [&](const CopyOperation& operation) {
    return operation.named && operation.form == form && operation.list_identifier == list_identifier;
  });
  return found == operations_.end() ? nullptr : &*found;
}

void CopyManager::cancel_all() {
  for (CopyOperation& operation : operations_) operation.canceled = operation.canceled || !operation.ended;
}

void CopyManager::forget(const CopyOperation& operation) {
  operations_.remove_if([&](const CopyOperation& each) { return &each == &operation; });
}

void CopyManager::warn_not_found(std::string_view what, const std::string& reason) {
  const auto untold = not_found_.admit(reason, io::Clock::now());
  if (!untold) return;
  log::warning("{}: {}{}", what, reason,
               *untold != 0 ? fmt::format(" ({} more of these were not told here)", *untold) : "");
}

}  // namespace peerlane::target
