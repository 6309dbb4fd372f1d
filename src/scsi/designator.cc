#include "scsi/designator.h"

#include <algorithm>

#include "scsi/text_field.h"

namespace peerlane::scsi {
namespace {

// Designation descriptor (SPC-4 table 544).
constexpr unsigned kProtocolShift = 4;
constexpr std::uint8_t kCodeSetMask = 0x0f;
constexpr std::uint8_t kProtocolValid = 0x80;
constexpr unsigned kAssociationShift = 4;
constexpr std::uint8_t kAssociationMask = 0x03;
constexpr std::uint8_t kDesignatorTypeMask = 0x0f;
constexpr std::size_t kDesignatorLength = 3;

}  // namespace

Designator t10_vendor_designator(std::string_view vendor, std::string_view specific) {
  Designator designator{.type = DesignatorType::kT10VendorId, .code_set = CodeSet::kAscii};
  designator.bytes.resize(8 + specific.size());
  put_text(ByteSpan(designator.bytes).first(8), vendor);
  put_text(ByteSpan(designator.bytes).subspan(8), specific);
  return designator;
}

Designator eui64_designator(std::uint64_t eui) {
  Designator designator{.type = DesignatorType::kEui64};
  designator.bytes.resize(8);
  put_be64(designator.bytes, 0, eui);
  return designator;
}

Designator naa_designator(std::uint64_t naa) {
  Designator designator{.type = DesignatorType::kNaa};
  designator.bytes.resize(8);
  put_be64(designator.bytes, 0, naa);
  return designator;
}

Designator relative_target_port_designator(std::uint16_t port) {
  Designator designator{.association = Association::kTargetPort, .type = DesignatorType::kRelativeTargetPort};
  designator.protocol = kProtocolIscsi;
  designator.bytes.resize(4);
  put_be16(designator.bytes, 2, port);
  return designator;
}

Designator target_port_group_designator(std::uint16_t group) {
  Designator designator{.association = Association::kTargetPort, .type = DesignatorType::kTargetPortGroup};
  designator.protocol = kProtocolIscsi;
  designator.bytes.resize(4);
  put_be16(designator.bytes, 2, group);
  return designator;
}

Designator scsi_name_designator(Association association, std::string_view name) {
  Designator designator{
      .association = association, .type = DesignatorType::kScsiNameString, .code_set = CodeSet::kUtf8};
  if (association != Association::kLogicalUnit) designator.protocol = kProtocolIscsi;
  designator.bytes.resize((name.size() / 4 + 1) * 4);
  std::ranges::copy(as_bytes(name), designator.bytes.begin());
  return designator;
}

std::size_t put_designator(const Designator& designator, ByteSpan out) {
  const std::size_t size = kDesignatorHeaderBytes + designator.bytes.size();
  if (designator.bytes.size() > kMostDesignatorBytes || size > out.size()) return 0;
  const unsigned protocol = designator.protocol.value_or(0);
  out[0] = static_cast<std::uint8_t>(protocol << kProtocolShift | static_cast<unsigned>(designator.code_set));
  out[1] = static_cast<std::uint8_t>((designator.protocol ? unsigned{kProtocolValid} : 0u) |
                                     static_cast<unsigned>(designator.association) << kAssociationShift |
                                     static_cast<unsigned>(designator.type));
  out[2] = 0;
  out[kDesignatorLength] = static_cast<std::uint8_t>(designator.bytes.size());
  std::ranges::copy(designator.bytes, out.subspan(kDesignatorHeaderBytes).begin());
  return size;
}

std::optional<Designator> get_designator(ByteView bytes) {
  if (bytes.size() < kDesignatorHeaderBytes) return std::nullopt;
  if (bytes[kDesignatorLength] > bytes.size() - kDesignatorHeaderBytes) return std::nullopt;
  Designator designator;
  designator.code_set = static_cast<CodeSet>(bytes[0] & kCodeSetMask);
  if ((bytes[1] & kProtocolValid) != 0) designator.protocol = static_cast<std::uint8_t>(bytes[0] >> kProtocolShift);
  designator.association = static_cast<Association>(bytes[1] >> kAssociationShift & kAssociationMask);
  designator.type = static_cast<DesignatorType>(bytes[1] & kDesignatorTypeMask);
  const ByteView text = bytes.subspan(kDesignatorHeaderBytes, bytes[kDesignatorLength]);
  designator.bytes.assign(text.begin(), text.end());
  return designator;
}

}  // namespace peerlane::scsi
