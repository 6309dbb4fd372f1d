// What the fuzzers demand of parameter data: an initiator that follows the standard can read them.

#include <optional>

#include "completion_checks.h"
#include "scsi/capacity.h"
#include "scsi/inquiry.h"
#include "scsi/lba_status.h"
#include "scsi/lun.h"
#include "scsi/mode.h"
#include "scsi/supported_opcodes.h"
#include "scsi/vpd.h"

namespace peerlane::fuzz {
namespace {

/// A field of parameter data that states how many bytes follow it.
void check_length(ByteView sent, bool cut, scsi::CdbField field, const char* property) {
  const std::size_t end = std::size_t{field.offset} + field.width;
  if (sent.size() < end) {
    require(cut, property);
    return;
  }
  const std::uint64_t size = end + scsi::get_field(sent, field);
  require(cut ? size >= sent.size() : size == sent.size(), property);
}

void check_vital_product_data(ByteView cdb, ByteView sent, bool cut) {
  check_length(sent, cut, {2, 2}, "PAGE LENGTH of a VPD page tells the truth");
  if (cut) return;
  require(sent[1] == cdb[2], "the VPD page is the one that was asked for");
  switch (static_cast<scsi::VpdPage>(cdb[2])) {
    case scsi::VpdPage::kSupportedPages:
      require(scsi::decode_supported_pages(sent).has_value(), "the list of VPD pages can be read");
      break;
    case scsi::VpdPage::kUnitSerialNumber:
      require(scsi::decode_unit_serial_number(sent).has_value(), "the serial number can be read");
      break;
    case scsi::VpdPage::kDeviceIdentification:
      require(scsi::decode_device_identification(sent).has_value(), "the designators can be read");
      break;
    case scsi::VpdPage::kBlockLimits:
      require(scsi::decode_block_limits(sent).has_value(), "block limits can be read");
      break;
    case scsi::VpdPage::kBlockDeviceCharacteristics:
      require(scsi::decode_block_device_characteristics(sent).has_value(), "characteristics can be read");
      break;
    case scsi::VpdPage::kLogicalBlockProvisioning:
      require(scsi::decode_logical_block_provisioning(sent).has_value(), "provisioning can be read");
      break;
    default:
      break;
  }
}

void check_inquiry(ByteView cdb, ByteView sent, bool cut) {
  if ((cdb[1] & 1) != 0) return check_vital_product_data(cdb, sent, cut);
  check_length(sent, cut, {4, 1}, "ADDITIONAL LENGTH of INQUIRY data tells the truth");
  if (!cut) require(scsi::decode_inquiry(sent).has_value(), "INQUIRY data can be read");
}

void check_mode_pages(ByteView sent, std::size_t header_bytes, std::size_t descriptor_bytes) {
  require(sent.size() >= header_bytes + descriptor_bytes, "mode parameters have their header");
  for (ByteView rest = sent.subspan(header_bytes + descriptor_bytes); !rest.empty();) {
    const auto page = scsi::first_mode_page(rest);
    require(page.has_value(), "every mode page can be read");
    rest = rest.subspan(page->bytes.size());
  }
}

void check_mode_sense(ByteView cdb, ByteView sent, bool cut) {
  const bool six = cdb[0] == 0x1a;
  check_length(sent, cut, six ? scsi::CdbField{0, 1} : scsi::CdbField{0, 2}, "MODE DATA LENGTH tells the truth");
  if (cut) return;
  const auto header = six ? scsi::decode_mode_header6(sent) : scsi::decode_mode_header10(sent);
  require(header.has_value(), "a mode parameter header can be read");
  check_mode_pages(sent, six ? scsi::kModeHeader6Bytes : scsi::kModeHeader10Bytes, header->block_descriptor_length);
}

void check_supported_commands(ByteView cdb, ByteView sent, bool cut) {
  if ((cdb[2] & 7) != 0) {
    if (!cut) require(scsi::decode_command_support(sent).has_value(), "support of a command can be read");
    return;
  }
  check_length(sent, cut, {0, 4}, "COMMAND DATA LENGTH tells the truth");
  if (!cut) require(scsi::decode_supported_commands(sent).has_value(), "the list of commands can be read");
}

void check_lun_list(ByteView sent, bool cut) {
  if (sent.size() < scsi::kLunListHeaderBytes) return require(cut, "a list of LUNs has its header");
  const std::uint64_t size = scsi::kLunListHeaderBytes + std::uint64_t{get_be32(sent, 0)};
  require(cut ? size >= sent.size() : size == sent.size(), "LUN LIST LENGTH tells the truth");
}

void check_service_action_in(ByteView cdb, ByteView sent, bool cut) {
  if ((cdb[1] & 0x1f) == scsi::kGetLbaStatus) {
    check_length(sent, cut, {0, 4}, "PARAMETER DATA LENGTH of LBA status tells the truth");
    std::uint64_t next = get_be64(cdb, 2);
    for (std::size_t i = 0;; ++i) {
      const auto entry = scsi::lba_status_entry(sent, i);
      if (!entry) break;
      require(i == 0 ? entry->lba.value <= next : entry->lba.value == next, "LBA status has no gaps");
      require(entry->count.value != 0, "an LBA status descriptor is about something");
      next = entry->lba.value + entry->count.value;
    }
  } else if ((cdb[1] & 0x1f) == scsi::kReadCapacity16 && !cut) {
    const auto capacity = scsi::decode_capacity16(sent);
    require(capacity && capacity->blocks.value * capacity->block_size == WatchedDevice::kBytes,
            "the capacity is right");
  }
}

}  // namespace

void check_answer(ByteView cdb, ByteView sent, bool cut) {
  switch (static_cast<scsi::OperationCode>(cdb[0])) {
    case scsi::OperationCode::kInquiry:
      return check_inquiry(cdb, sent, cut);
    case scsi::OperationCode::kModeSense6:
    case scsi::OperationCode::kModeSense10:
      return check_mode_sense(cdb, sent, cut);
    case scsi::OperationCode::kReportLuns:
      return check_lun_list(sent, cut);
    case scsi::OperationCode::kMaintenanceIn:
      if ((cdb[1] & 0x1f) == scsi::kReportSupportedOperationCodes) check_supported_commands(cdb, sent, cut);
      return;
    case scsi::OperationCode::kServiceActionIn16:
      return check_service_action_in(cdb, sent, cut);
    case scsi::OperationCode::kRequestSense:
      if (!cut) require(scsi::decode_sense(sent).has_value(), "sense data can be read");
      return;
    case scsi::OperationCode::kReadCapacity10: {
      const auto capacity = scsi::decode_capacity10(sent);
      require(capacity && capacity->blocks.value * capacity->block_size == WatchedDevice::kBytes,
              "the capacity is right");
      return;
    }
    default:
      return;
  }
}

}  // namespace peerlane::fuzz
