// MODE SENSE (SPC-4 §6.11 and §6.12). A mode page is a row of a table.

#include <array>

#include "scsi/mode.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

// MODE SENSE(6) and MODE SENSE(10) alike (SPC-4 tables 159 and 162).
constexpr std::uint8_t kNoBlockDescriptors = 0x08;  // DBD
constexpr std::uint8_t kLongLbaAccepted = 0x10;     // LLBAA, in MODE SENSE(10) only
constexpr std::size_t kPageByte = 2;
constexpr unsigned kPageControlShift = 6;
constexpr std::uint8_t kPageMask = 0x3f;
constexpr std::uint8_t kPageBit = 5;
constexpr std::size_t kSubpageByte = 3;

// No mode parameter can be changed or saved yet, so a page's changeable values are all zeroes (SPC-4 §6.11.3), and its
// default values are the current ones.

std::size_t caching_page(const LogicalUnit& unit, bool changeable, ByteSpan out) {
  if (changeable) return scsi::encode_caching_page({}, out);
  return scsi::encode_caching_page({.write_cache = unit.write_cache()}, out);
}

std::size_t control_page(const LogicalUnit& unit, bool changeable, ByteSpan out) {
  if (changeable) return scsi::encode_control_page({}, out);
  scsi::ControlPage page;
  page.descriptor_sense = unit.descriptor_sense();
  page.global_logging_disabled = true;
  page.queue_algorithm = 1;  // whoever needs an order waits, or uses ORDERED
  page.busy_timeout = 0xffff;
  return scsi::encode_control_page(page, out);
}

struct PageRow {
  scsi::ModePageCode code;
  std::size_t (*encode)(const LogicalUnit& unit, bool changeable, ByteSpan out);
};

// In the order in which they are returned: ascending (SPC-4 §6.11.1).
constexpr std::array kPages{
    PageRow{scsi::kCachingPage, caching_page},
    PageRow{scsi::kControlPage, control_page},
};

bool wanted(scsi::ModePageCode code, scsi::ModePageCode request) {
  const bool page = request.page == scsi::kAllPages || request.page == code.page;
  return page && (request.subpage == scsi::kAllSubpages || request.subpage == code.subpage);
}

/// Writes the pages asked for; refuses if there is none of them.
Answer put_pages(const CommandContext& context, ByteSpan out) {
  const ByteView cdb = context.cdb();
  const auto control = static_cast<scsi::PageControl>(cdb[kPageByte] >> kPageControlShift);
  const scsi::ModePageCode request{static_cast<std::uint8_t>(cdb[kPageByte] & kPageMask), cdb[kSubpageByte]};
  if (control == scsi::PageControl::kSaved) {
    return std::unexpected(scsi::illegal_request(scsi::sense_codes::kSavingParametersNotSupported));
  }
  std::size_t size = 0;
  bool page_exists = request.page == scsi::kAllPages;
  for (const PageRow& row : kPages) {
    page_exists |= row.code.page == request.page;
    if (wanted(row.code, request)) {
      size += row.encode(context.unit, control == scsi::PageControl::kChangeable, out.subspan(size));
    }
  }
  if (size != 0) return size;
  return std::unexpected(page_exists ? scsi::invalid_field_in_cdb(kSubpageByte)
                                     : scsi::invalid_field_in_cdb(kPageByte, kPageBit));
}

scsi::ModeHeader header_for(const LogicalUnit& unit) {
  scsi::ModeHeader header;
  header.write_protected = unit.read_only();
  header.dpo_fua = true;
  return header;
}

}  // namespace

Answer mode_sense_6(const CommandContext& context, ByteSpan out) {
  std::size_t size = scsi::kModeHeader6Bytes;
  scsi::ModeHeader header = header_for(context.unit);
  if ((context.cdb()[1] & kNoBlockDescriptors) == 0) {
    const scsi::BlockDescriptor descriptor{context.unit.capacity(), context.unit.block_size()};
    header.block_descriptor_length = scsi::kShortBlockDescriptorBytes;
    size += scsi::encode_short_block_descriptor(descriptor, out.subspan(size));
  }
  const Answer pages = put_pages(context, out.subspan(size));
  if (!pages) return pages;
  size += *pages;
  header.data_length = static_cast<std::uint16_t>(size - 1);
  scsi::encode_mode_header6(header, out);
  return size;
}

Answer mode_sense_10(const CommandContext& context, ByteSpan out) {
  const ByteView cdb = context.cdb();
  std::size_t size = scsi::kModeHeader10Bytes;
  scsi::ModeHeader header = header_for(context.unit);
  if ((cdb[1] & kNoBlockDescriptors) == 0) {
    const scsi::BlockDescriptor descriptor{context.unit.capacity(), context.unit.block_size()};
    header.long_lba = (cdb[1] & kLongLbaAccepted) != 0;
    const std::size_t bytes = header.long_lba ? scsi::encode_long_block_descriptor(descriptor, out.subspan(size))
                                              : scsi::encode_short_block_descriptor(descriptor, out.subspan(size));
    header.block_descriptor_length = static_cast<std::uint16_t>(bytes);
    size += bytes;
  }
  const Answer pages = put_pages(context, out.subspan(size));
  if (!pages) return pages;
  size += *pages;
  header.data_length = static_cast<std::uint16_t>(size - 2);
  scsi::encode_mode_header10(header, out);
  return size;
}

}  // namespace peerlane::target
