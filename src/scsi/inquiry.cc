#include "scsi/inquiry.h"

#include <algorithm>
#include <cassert>

#include "scsi/text_field.h"

namespace peerlane::scsi {
namespace {

// SPC-4 table 145.
constexpr unsigned kQualifierShift = 5;
constexpr std::uint8_t kDeviceTypeMask = 0x1f;
constexpr std::size_t kRemovableByte = 1;
constexpr std::uint8_t kRemovable = 0x80;
constexpr std::size_t kVersionByte = 2;
constexpr std::size_t kFormatByte = 3;
constexpr std::uint8_t kNormalAca = 0x20;
constexpr std::uint8_t kHierarchicalLuns = 0x10;
constexpr std::uint8_t kResponseDataFormat = 0x02;
constexpr std::size_t kAdditionalLengthByte = 4;
constexpr std::size_t kCopyByte = 5;
constexpr unsigned kTargetPortGroupsShift = 4;
constexpr std::uint8_t kTargetPortGroupsMask = 0x03;
constexpr std::uint8_t kThirdPartyCopy = 0x08;
constexpr std::size_t kPortsByte = 6;
constexpr std::uint8_t kMultiplePorts = 0x10;
constexpr std::size_t kQueuingByte = 7;
constexpr std::uint8_t kCommandQueuing = 0x02;
struct Range {
  std::size_t offset;
  std::size_t size;
};
constexpr Range kVendor{8, 8};
constexpr Range kProduct{16, 16};
constexpr Range kRevision{32, 4};
constexpr std::size_t kStandards = 58;

}  // namespace

std::uint8_t encode_peripheral(Peripheral peripheral) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(peripheral.qualifier) << kQualifierShift |
                                   static_cast<unsigned>(peripheral.type));
}

Peripheral decode_peripheral(std::uint8_t byte) {
  return {static_cast<PeripheralQualifier>(byte >> kQualifierShift), static_cast<DeviceType>(byte & kDeviceTypeMask)};
}

std::size_t encode_inquiry(const StandardInquiry& inquiry, ByteSpan out) {
  assert(out.size() >= kStandardInquiryBytes);
  const auto flag = [](bool set, std::uint8_t mask) { return set ? mask : std::uint8_t{0}; };
  std::fill_n(out.begin(), kStandardInquiryBytes, std::uint8_t{0});
  out[0] = encode_peripheral(inquiry.peripheral);
  out[kRemovableByte] = flag(inquiry.removable, kRemovable);
  out[kVersionByte] = inquiry.version;
  out[kFormatByte] = static_cast<std::uint8_t>(kResponseDataFormat | flag(inquiry.normal_aca, kNormalAca) |
                                               flag(inquiry.hierarchical_luns, kHierarchicalLuns));
  out[kAdditionalLengthByte] = kStandardInquiryBytes - (kAdditionalLengthByte + 1);
  out[kCopyByte] =
      static_cast<std::uint8_t>((inquiry.target_port_groups & kTargetPortGroupsMask) << kTargetPortGroupsShift |
                                flag(inquiry.third_party_copy, kThirdPartyCopy));
  out[kPortsByte] = flag(inquiry.multiple_ports, kMultiplePorts);
  out[kQueuingByte] = flag(inquiry.command_queuing, kCommandQueuing);
  put_text(out.subspan(kVendor.offset, kVendor.size), inquiry.vendor);
  put_text(out.subspan(kProduct.offset, kProduct.size), inquiry.product);
  put_text(out.subspan(kRevision.offset, kRevision.size), inquiry.revision);
  for (std::size_t i = 0; i < inquiry.standards.size(); ++i) put_be16(out, kStandards + 2 * i, inquiry.standards[i]);
  return kStandardInquiryBytes;
}

std::optional<StandardInquiry> decode_inquiry(ByteView bytes) {
  if (bytes.size() <= kAdditionalLengthByte) return std::nullopt;
  const std::size_t size =
      std::min<std::size_t>(bytes.size(), kAdditionalLengthByte + 1 + bytes[kAdditionalLengthByte]);
  std::array<std::uint8_t, kStandardInquiryBytes> all{};
  std::copy_n(bytes.begin(), std::min(size, all.size()), all.begin());

  StandardInquiry inquiry;
  inquiry.peripheral = decode_peripheral(all[0]);
  inquiry.removable = (all[kRemovableByte] & kRemovable) != 0;
  inquiry.version = all[kVersionByte];
  inquiry.normal_aca = (all[kFormatByte] & kNormalAca) != 0;
  inquiry.hierarchical_luns = (all[kFormatByte] & kHierarchicalLuns) != 0;
  inquiry.target_port_groups =
      static_cast<std::uint8_t>(all[kCopyByte] >> kTargetPortGroupsShift & kTargetPortGroupsMask);
  inquiry.third_party_copy = (all[kCopyByte] & kThirdPartyCopy) != 0;
  inquiry.multiple_ports = (all[kPortsByte] & kMultiplePorts) != 0;
  inquiry.command_queuing = (all[kQueuingByte] & kCommandQueuing) != 0;
  const ByteView view(all);
  inquiry.vendor = get_text(view.subspan(kVendor.offset, kVendor.size));
  inquiry.product = get_text(view.subspan(kProduct.offset, kProduct.size));
  inquiry.revision = get_text(view.subspan(kRevision.offset, kRevision.size));
  for (std::size_t i = 0; i < inquiry.standards.size(); ++i) inquiry.standards[i] = get_be16(view, kStandards + 2 * i);
  return inquiry;
}

}  // namespace peerlane::scsi
