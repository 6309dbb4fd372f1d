#include "target/mode_pages.h"

#include <algorithm>
#include <array>
#include <bit>

#include "scsi/sense_codes.h"
#include "target/logical_unit.h"

namespace peerlane::target {
namespace {

// Byte 1 of both CDBs: PF.
constexpr std::size_t kFlagsByte = 1;
constexpr std::uint8_t kPageFormatBit = 4;
constexpr std::uint8_t kPageCodeBit = 5;
constexpr std::size_t kMediumType6 = 1;
constexpr std::size_t kMediumType10 = 2;
constexpr std::size_t kDescriptorLength6 = 3;
constexpr std::size_t kDescriptorLength10 = 6;

// --- Pages ---

std::size_t read_write_error_recovery(const ModeValues&, ModeContent, ByteSpan out) {
  return scsi::encode_read_write_error_recovery_page({}, out);
}

std::size_t verify_error_recovery(const ModeValues&, ModeContent, ByteSpan out) {
  return scsi::encode_verify_error_recovery_page({}, out);
}

std::size_t caching(const ModeValues& values, ModeContent, ByteSpan out) {
  scsi::CachingPage page;
  page.write_cache = values.write_cache;
  return scsi::encode_caching_page(page, out);
}

void take_caching(ByteView bytes, ModeValues& values) {
  if (const auto page = scsi::decode_caching_page(bytes)) values.write_cache = page->write_cache;
}

std::size_t control(const ModeValues& values, ModeContent content, ByteSpan out) {
  scsi::ControlPage page;
  page.descriptor_sense = values.descriptor_sense;
  page.software_write_protect = values.software_write_protect;
  if (content == ModeContent::kValues) {
    page.task_set_type = 1;  // each I_T nexus has a task set of its own
    page.global_logging_disabled = true;
    page.queue_algorithm = 1;  // whoever needs an order waits, or uses ORDERED
    page.busy_timeout = 0xffff;
  }
  return scsi::encode_control_page(page, out);
}

void take_control(ByteView bytes, ModeValues& values) {
  const auto page = scsi::decode_control_page(bytes);
  if (!page) return;
  values.descriptor_sense = page->descriptor_sense;
  values.software_write_protect = page->software_write_protect;
}

std::size_t control_extension(const ModeValues&, ModeContent content, ByteSpan out) {
  scsi::ControlExtensionPage page;
  if (content == ModeContent::kValues) {
    page.timestamp_by_other_means = true;  // the host's clock
    page.set_timestamp_precedence = true;
    page.implicit_access_enabled = true;
    page.most_sense_bytes = scsi::kMaxSenseBytes;
  }
  return scsi::encode_control_extension_page(page, out);
}

std::size_t informational_exceptions(const ModeValues&, ModeContent content, ByteSpan out) {
  // Nothing here foresees a failure, so there is nothing to report.
  scsi::InformationalExceptionsPage page;
  page.disabled = content == ModeContent::kValues;
  return scsi::encode_informational_exceptions_page(page, out);
}

constexpr std::array kPages{
    ModePage{scsi::kReadWriteErrorRecoveryPage, read_write_error_recovery},
    ModePage{scsi::kVerifyErrorRecoveryPage, verify_error_recovery},
    ModePage{scsi::kCachingPage, caching, take_caching},
    ModePage{scsi::kControlPage, control, take_control},
    ModePage{scsi::kControlExtensionPage, control_extension},
    ModePage{scsi::kInformationalExceptionsPage, informational_exceptions},
};

// --- The parameter list ---

using Values = std::expected<ModeValues, scsi::Sense>;
using Refusal = std::optional<scsi::Sense>;

scsi::Sense length_error() {
  return scsi::illegal_request(scsi::sense_codes::kParameterListLengthError);
}

struct Header {
  std::size_t size = 0;
  std::size_t length_offset = 0;  // where BLOCK DESCRIPTOR LENGTH stands
  scsi::ModeHeader fields;
};

/// MODE DATA LENGTH and the device specific parameter (WP, DPOFUA) are reserved, or about MODE SENSE, and ignored:
/// initiators send back what they were sent.
std::expected<Header, scsi::Sense> read_header(ModeForm form, ByteView list) {
  const bool six = form == ModeForm::kSix;
  const auto fields = six ? scsi::decode_mode_header6(list) : scsi::decode_mode_header10(list);
  if (!fields) return std::unexpected(length_error());
  const std::size_t medium_type = six ? kMediumType6 : kMediumType10;
  if (list[medium_type] != 0) return std::unexpected(scsi::invalid_field_in_parameter_list(medium_type));
  return Header{six ? scsi::kModeHeader6Bytes : scsi::kModeHeader10Bytes,
                six ? kDescriptorLength6 : kDescriptorLength10, *fields};
}

/// A block descriptor may say what is so, and no more: the disk's size and block size cannot be changed (SBC-4 §6.5.2).
Refusal check_block_descriptor(const LogicalUnit& unit, const Header& header, ByteView list) {
  const std::size_t size = header.fields.block_descriptor_length;
  if (size == 0) return std::nullopt;
  const bool long_form = header.fields.long_lba;
  if (size != (long_form ? scsi::kLongBlockDescriptorBytes : scsi::kShortBlockDescriptorBytes)) {
    return scsi::invalid_field_in_parameter_list(header.length_offset);
  }
  if (header.size + size > list.size()) return length_error();
  const ByteView bytes = list.subspan(header.size, size);
  const scsi::BlockDescriptor descriptor =
      long_form ? *scsi::decode_long_block_descriptor(bytes) : *scsi::decode_short_block_descriptor(bytes);
  const std::uint64_t blocks = descriptor.blocks.value;
  const std::uint64_t whole = long_form ? UINT64_MAX : UINT32_MAX;  // all that there are
  if (blocks != 0 && blocks != whole && blocks != unit.capacity().value) {
    return scsi::invalid_field_in_parameter_list(header.size);
  }
  if (descriptor.block_size != unit.block_size()) {
    const std::size_t field =
        size - (long_form ? sizeof(std::uint32_t) : 3);  // BLOCK LENGTH ends the descriptor in both forms
    return scsi::invalid_field_in_parameter_list(header.size + field);
  }
  return std::nullopt;
}

/// Refuses a page in which something differs from what the unit has that cannot be changed. `at` is where it stands in
/// the parameter list.
Refusal check_page(const LogicalUnit& unit, const ModePage& page, ByteView sent, std::size_t at,
                   const ModeValues& values) {
  std::array<std::uint8_t, kMostModePageBytes> now{};
  std::array<std::uint8_t, kMostModePageBytes> changeable{};
  const std::size_t size = page.encode(values, ModeContent::kValues, now);
  page.encode(unit.modes().changeable(), ModeContent::kChangeable, changeable);
  const std::size_t length_offset = scsi::mode_page_length_offset(sent);
  if (sent.size() != size) return scsi::invalid_field_in_parameter_list(at + length_offset);
  for (std::size_t i = length_offset + 1; i < size; ++i) {
    const auto wrong = static_cast<std::uint8_t>((sent[i] ^ now.at(i)) & ~changeable.at(i));
    if (wrong == 0) continue;
    return scsi::invalid_field_in_parameter_list(at + i, static_cast<std::uint8_t>(std::bit_width(wrong) - 1));
  }
  return std::nullopt;
}

/// Takes one page into `values`.
Refusal take_page(const LogicalUnit& unit, const scsi::ModePageView& sent, std::size_t at, ModeValues& values) {
  const auto* const page = std::ranges::find(kPages, sent.code, &ModePage::code);
  if (page == kPages.end()) {
    const bool known =
        std::ranges::any_of(kPages, [&](const ModePage& row) { return row.code.page == sent.code.page; });
    return known ? scsi::invalid_field_in_parameter_list(at + 1)
                 : scsi::invalid_field_in_parameter_list(at, kPageCodeBit);
  }
  if (auto refused = check_page(unit, *page, sent.bytes, at, values)) return refused;
  if (page->take != nullptr) page->take(sent.bytes, values);
  return std::nullopt;
}

}  // namespace

std::span<const ModePage> mode_pages() {
  return kPages;
}

Values apply_mode_list(const LogicalUnit& unit, ModeForm form, bool page_format, ByteView list, ModeValues values) {
  const auto header = read_header(form, list);
  if (!header) return std::unexpected(header.error());
  if (const auto refused = check_block_descriptor(unit, *header, list)) return std::unexpected(*refused);
  std::size_t at = header->size + header->fields.block_descriptor_length;
  if (at < list.size() && !page_format) {
    return std::unexpected(scsi::invalid_field_in_cdb(kFlagsByte, kPageFormatBit));
  }
  while (at < list.size()) {
    const auto page = scsi::first_mode_page(list.subspan(at));
    if (!page) return std::unexpected(length_error());
    if (const auto refused = take_page(unit, *page, at, values)) return std::unexpected(*refused);
    at += page->bytes.size();
  }
  return values;
}

}  // namespace peerlane::target
