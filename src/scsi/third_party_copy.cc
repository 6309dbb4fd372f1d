#include "scsi/third_party_copy.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace peerlane::scsi {
namespace {

constexpr std::size_t kServiceAction = 1;
constexpr std::uint8_t kServiceActionMask = 0x1f;
constexpr CdbField kLength{10, 4};
constexpr CdbField kNone{};
constexpr std::size_t kGroup = 14;
constexpr std::uint8_t kGroupMask = 0x3f;

/// What distinguishes the CDBs of these commands.
struct CopyCdbLayout {
  OperationCode operation;
  std::uint16_t service_action;
  CdbField list_identifier;
  CdbField length = kLength;
  bool group = false;
};

constexpr OperationCode kOut = OperationCode::kThirdPartyCopyOut;
constexpr OperationCode kIn = OperationCode::kThirdPartyCopyIn;
constexpr CdbField kLid1{2, 1};
constexpr CdbField kLid4{2, 4};
constexpr CdbField kTokenLid{6, 4};

constexpr std::array kLayouts = std::to_array<CopyCdbLayout>({
    {kOut, kExtendedCopyLid1, kNone},
    {kOut, kExtendedCopyLid4, kNone},
    {.operation = kOut, .service_action = kPopulateToken, .list_identifier = kTokenLid, .group = true},
    {.operation = kOut, .service_action = kWriteUsingToken, .list_identifier = kTokenLid, .group = true},
    {.operation = kOut, .service_action = kCopyOperationAbort, .list_identifier = kLid4, .length = kNone},
    {kIn, kReceiveCopyStatusLid1, kLid1},
    {kIn, kReceiveCopyDataLid1, kLid1},
    {kIn, kReceiveCopyOperatingParameters, kNone},
    {kIn, kReceiveCopyFailureDetails, kLid1},
    {kIn, kReceiveCopyStatusLid4, kLid4},
    {kIn, kReceiveCopyDataLid4, kLid4},
    {kIn, kReceiveRodTokenInformation, kLid4},
    {kIn, kReportAllRodTokens, kNone},
});

const CopyCdbLayout* layout_of(OperationCode operation, std::uint16_t service_action) {
  const auto* const found = std::ranges::find_if(kLayouts, [&](const CopyCdbLayout& layout) {
    return layout.operation == operation && layout.service_action == service_action;
  });
  return found == kLayouts.end() ? nullptr : found;
}

}  // namespace

CdbField copy_list_identifier_field(OperationCode operation, std::uint16_t service_action) {
  const CopyCdbLayout* const layout = layout_of(operation, service_action);
  return layout == nullptr ? kNone : layout->list_identifier;
}

std::optional<CopyCdb> decode_copy_cdb(ByteView cdb) {
  if (cdb.size() < kCopyCdbBytes) return std::nullopt;
  CopyCdb copy;
  copy.operation = static_cast<OperationCode>(cdb[0]);
  copy.service_action = cdb[kServiceAction] & kServiceActionMask;
  const CopyCdbLayout* const layout = layout_of(copy.operation, copy.service_action);
  if (layout == nullptr) return std::nullopt;
  copy.list_identifier = static_cast<std::uint32_t>(get_field(cdb, layout->list_identifier));
  copy.length = static_cast<std::uint32_t>(get_field(cdb, layout->length));
  if (layout->group) copy.group = cdb[kGroup] & kGroupMask;
  return copy;
}

std::size_t encode_copy_cdb(const CopyCdb& copy, ByteSpan out) {
  const CopyCdbLayout* const layout = layout_of(copy.operation, copy.service_action);
  assert(layout != nullptr && out.size() >= kCopyCdbBytes);
  std::ranges::fill(out.first(kCopyCdbBytes), std::uint8_t{0});
  out[0] = static_cast<std::uint8_t>(copy.operation);
  out[kServiceAction] = static_cast<std::uint8_t>(copy.service_action);
  put_field(out, layout->list_identifier, copy.list_identifier);
  put_field(out, layout->length, copy.length);
  if (layout->group) out[kGroup] = copy.group & kGroupMask;
  return kCopyCdbBytes;
}

}  // namespace peerlane::scsi
