#include "target/copy_manager.h"

#include <algorithm>

#include "scsi/copy_segment.h"
#include "scsi/cscd.h"

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
                           scsi::kIdentificationCscd}};
  return kParameters;
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

void CopyManager::forget(const CopyOperation& operation) {
  operations_.remove_if([&](const CopyOperation& each) { return &each == &operation; });
}

}  // namespace peerlane::target
