// MODE SENSE (SPC-4 §6.11 and §6.12) and MODE SELECT (§6.9 and §6.10).

#include <optional>

#include "scsi/mode.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"
#include "target/mode_pages.h"

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

// MODE SELECT(6) and MODE SELECT(10) (SPC-4 tables 153 and 155), byte 1.
constexpr std::uint8_t kPageFormat = 0x10;
constexpr std::uint8_t kSavePages = 0x01;
constexpr std::uint8_t kSavePagesBit = 0;

/// The values that PC asks for; changeable ones go with ModeContent::kChangeable.
ModeValues values_of(const ModeParameters& modes, scsi::PageControl control) {
  switch (control) {
    case scsi::PageControl::kCurrent:
      return modes.current();
    case scsi::PageControl::kChangeable:
      return modes.changeable();
    case scsi::PageControl::kDefault:
      return modes.defaults();
    case scsi::PageControl::kSaved:
      return modes.saved();
  }
  return {};
}

bool wanted(scsi::ModePageCode code, scsi::ModePageCode request) {
  // With all pages only none or all of their subpages can be asked for (SPC-4 table 161).
  const bool all = request.page == scsi::kAllPages && (request.subpage == 0 || request.subpage == scsi::kAllSubpages);
  return (all || request.page == code.page) &&
         (request.subpage == scsi::kAllSubpages || request.subpage == code.subpage);
}

/// Writes the pages asked for; refuses if there is none of them.
Answer put_pages(const CommandContext& context, ByteSpan out) {
  const ByteView cdb = context.cdb();
  const ModeParameters& modes = context.unit.modes();
  const auto control = static_cast<scsi::PageControl>(cdb[kPageByte] >> kPageControlShift);
  const scsi::ModePageCode request{static_cast<std::uint8_t>(cdb[kPageByte] & kPageMask), cdb[kSubpageByte]};
  if (control == scsi::PageControl::kSaved && !modes.can_save()) {
    return std::unexpected(scsi::illegal_request(scsi::sense_codes::kSavingParametersNotSupported));
  }
  const ModeValues values = values_of(modes, control);
  const ModeContent content =
      control == scsi::PageControl::kChangeable ? ModeContent::kChangeable : ModeContent::kValues;
  std::size_t size = 0;
  bool page_exists = request.page == scsi::kAllPages;
  for (const ModePage& page : mode_pages()) {
    page_exists |= page.code.page == request.page;
    if (!wanted(page.code, request)) continue;
    const std::size_t bytes = page.encode(values, content, out.subspan(size));
    if (page.take != nullptr && modes.can_save()) out[size] |= scsi::kParametersSaveable;
    size += bytes;
  }
  if (size != 0) return size;
  return std::unexpected(page_exists ? scsi::invalid_field_in_cdb(kSubpageByte)
                                     : scsi::invalid_field_in_cdb(kPageByte, kPageBit));
}

scsi::ModeHeader header_for(const LogicalUnit& unit) {
  scsi::ModeHeader header;
  header.write_protected = unit.read_only() || unit.modes().current().software_write_protect;
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

namespace {

/// What has to be on the medium before the new values hold: all that was written while the cache could keep it, and
/// before writes are refused (SBC-4 §6.5.6, SPC-4 §7.5.8). A write under way looks at WCE once more when it is done.
bool needs_flush(const ModeValues& before, const ModeValues& after) {
  return (before.write_cache && !after.write_cache) || (!before.software_write_protect && after.software_write_protect);
}

/// Makes `values` the current ones, and the saved ones with `save`. The exclusive right to changes is held.
io::Task<Completion> change_modes(CommandContext context, ModeValues values, bool save) {
  LogicalUnit& unit = context.unit;
  if (save) {
    auto saved = co_await unit.modes().save(values);
    if (!saved) {
      scsi::Sense sense;
      sense.key = scsi::SenseKey::kHardwareError;
      sense.code = scsi::sense_codes::kInternalTargetFailure;
      co_return Completion::check(sense);
    }
  }
  const ModeValues before = unit.modes().current();
  if (values == before) co_return Completion::good();
  unit.modes().set(values);
  unit.establish(scsi::sense_codes::kModeParametersChanged, &context.nexus);
  if (needs_flush(before, values) && unit.capabilities().volatile_cache) {
    auto flushed = co_await unit.device().flush();
    if (!flushed) co_return device_failure(flushed.error(), MediumAccess::kWrite, {});
  }
  co_return Completion::good();
}

io::Task<Completion> mode_select(CommandContext context, ModeForm form, std::size_t length) {
  const std::uint8_t flags = context.cdb()[1];
  const bool save = (flags & kSavePages) != 0;
  ModeParameters& modes = context.unit.modes();
  if (save && !modes.can_save()) co_return Completion::check(scsi::invalid_field_in_cdb(1, kSavePagesBit));
  std::optional<io::Buffer> list;
  if (length != 0) {
    ParameterList received = co_await receive_parameter_list(context, length);
    if (!received) co_return received.error();
    list = std::move(*received);
  }
  const auto turn = modes.changes().take();
  if (!turn) co_return Completion{scsi::Status::kBusy, std::nullopt};
  ModeValues values = modes.current();
  if (list) {
    const auto changed =
        apply_mode_list(context.unit, form, (flags & kPageFormat) != 0, list->bytes().first(length), values);
    if (!changed) co_return Completion::check(changed.error());
    values = *changed;
  }
  const Completion done = co_await change_modes(context, values, save);
  co_return done;
}

}  // namespace

io::Task<Completion> mode_select_6(CommandContext context) {
  return mode_select(context, ModeForm::kSix, context.cdb()[4]);
}

io::Task<Completion> mode_select_10(CommandContext context) {
  return mode_select(context, ModeForm::kTen, get_be16(context.cdb(), 7));
}

}  // namespace peerlane::target
