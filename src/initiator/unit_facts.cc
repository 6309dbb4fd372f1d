#include "initiator/unit_facts.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "scsi/lba_status.h"
#include "scsi/opcodes.h"
#include "scsi/supported_opcodes.h"

namespace peerlane::initiator {
namespace {

using scsi::DesignatorType;
using scsi::VpdPage;

constexpr std::uint8_t kNoDataOutBit = 0x01;  // NDOB, in byte 1 of WRITE SAME(16)

/// An error that says that the unit does not know the command, not that something is broken.
bool is_unknown(const Error& error) {
  return error.code == ENOTSUP;
}

/// Another I_T nexus has reserved the unit, and that forbids the command.
bool is_conflict(const Error& error) {
  return error.code == EBADE;
}

std::string hex(ByteView bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

/// Text of a target, fit for logs and comparisons: printable ASCII, without spaces at its ends.
std::string clean(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\0') break;
    result += c > ' ' && c <= '~' ? c : '_';
  }
  const auto end = result.find_last_not_of('_');
  return end == std::string::npos ? std::string() : result.substr(0, end + 1);
}

std::string text_of(const scsi::Designator& designator) {
  switch (designator.type) {
    case DesignatorType::kNaa:
      return "naa." + hex(designator.bytes);
    case DesignatorType::kEui64:
      return "eui." + hex(designator.bytes);
    case DesignatorType::kScsiNameString:
      return clean(as_text(designator.bytes));
    case DesignatorType::kT10VendorId:
      return "t10." + clean(as_text(designator.bytes));
    default:
      return {};
  }
}

bool lists(const std::vector<VpdPage>& pages, VpdPage page) {
  return std::ranges::find(pages, page) != pages.end();
}

/// A page that may be missing: an empty one then. Errors: those that are not the unit's own.
io::Task<Result<Bytes>> page_if_listed(UnitAccess& access, const std::vector<VpdPage>& pages, VpdPage page) {
  if (!lists(pages, page)) co_return Bytes();
  auto bytes = co_await access.vpd(page);
  if (!bytes && is_unknown(bytes.error())) co_return Bytes();
  co_return bytes;
}

io::Task<Result<std::vector<VpdPage>>> pages_of(UnitAccess& access) {
  auto bytes = co_await access.vpd(VpdPage::kSupportedPages);
  if (!bytes) {
    if (is_unknown(bytes.error())) co_return std::vector<VpdPage>();
    co_return std::unexpected(std::move(bytes.error()));
  }
  co_return scsi::decode_supported_pages(*bytes).value_or(std::vector<VpdPage>());
}

io::Task<Result<void>> read_limits(UnitAccess& access, const std::vector<VpdPage>& pages, UnitFacts& facts) {
  auto limits = co_await page_if_listed(access, pages, VpdPage::kBlockLimits);
  if (!limits) co_return std::unexpected(std::move(limits.error()));
  facts.limits = scsi::decode_block_limits(*limits).value_or(scsi::BlockLimits());
  auto characteristics = co_await page_if_listed(access, pages, VpdPage::kBlockDeviceCharacteristics);
  if (!characteristics) co_return std::unexpected(std::move(characteristics.error()));
  const auto decoded = scsi::decode_block_device_characteristics(*characteristics);
  if (decoded) facts.characteristics = *decoded;
  auto provisioning = co_await page_if_listed(access, pages, VpdPage::kLogicalBlockProvisioning);
  if (!provisioning) co_return std::unexpected(std::move(provisioning.error()));
  facts.provisioning =
      scsi::decode_logical_block_provisioning(*provisioning).value_or(scsi::LogicalBlockProvisioning());
  co_return Result<void>();
}

void take_mode(const scsi::ModeHeader& header, ByteView rest, UnitFacts& facts) {
  facts.write_protected = header.write_protected;
  facts.dpo_fua = header.dpo_fua;
  if (rest.size() < header.block_descriptor_length) return;
  const auto page = scsi::first_mode_page(rest.subspan(header.block_descriptor_length));
  const auto caching = page ? scsi::decode_caching_page(page->bytes) : std::nullopt;
  if (caching) facts.write_cache = caching->write_cache;
}

/// The error of a command for facts without which the unit can be used, or none if it is just that the unit does not
/// have the command, or that a reservation forbids it.
Result<void> not_told(const Error& error, UnitFacts& facts) {
  if (is_conflict(error)) facts.reserved = true;
  if (is_conflict(error) || is_unknown(error)) return {};
  return std::unexpected(error);
}

/// Caching mode page and the header before it. A unit that has neither has no write cache that could be told of; one
/// that may not tell is taken to have one.
io::Task<Result<void>> read_mode(UnitAccess& access, UnitFacts& facts) {
  auto ten = co_await access.mode_sense10(scsi::kCachingPage, scsi::PageControl::kCurrent);
  if (ten) {
    if (const auto header = scsi::decode_mode_header10(*ten)) {
      take_mode(*header, ByteView(*ten).subspan(scsi::kModeHeader10Bytes), facts);
    }
    co_return Result<void>();
  }
  if (is_conflict(ten.error())) facts.write_cache = true;
  if (!is_unknown(ten.error())) co_return not_told(ten.error(), facts);
  auto six = co_await access.mode_sense6(scsi::kCachingPage, scsi::PageControl::kCurrent);
  if (six) {
    if (const auto header = scsi::decode_mode_header6(*six)) {
      take_mode(*header, ByteView(*six).subspan(scsi::kModeHeader6Bytes), facts);
    }
    co_return Result<void>();
  }
  co_return not_told(six.error(), facts);
}

io::Task<Result<void>> read_support(UnitAccess& access, UnitFacts& facts) {
  facts.write_same = facts.provisioning.write_same_16 || facts.limits.max_write_same != 0;
  auto bytes = co_await access.supported(scsi::OperationCode::kWriteSame16);
  if (!bytes) {
    auto passed = not_told(bytes.error(), facts);
    if (!passed) co_return passed;
  } else {
    if (const auto support = scsi::decode_command_support(*bytes); support) {
      facts.write_same = support->support == scsi::Support::kStandard;
      facts.no_data_out = facts.write_same && support->usage.size() > 1 && (support->usage[1] & kNoDataOutBit) != 0;
    }
  }
  if (!facts.sixteen || !facts.capacity.provisioning) co_return Result<void>();
  auto status = co_await access.lba_status(0, 1);
  facts.lba_status = status && scsi::lba_status_entry(*status, 0).has_value();
  co_return status ? Result<void>() : not_told(status.error(), facts);
}

/// What makes a capacity unusable for us; null: nothing.
const char* unusable(const scsi::Capacity& capacity) {
  constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 62;
  if (capacity.block_size != 512 && capacity.block_size != 4096) return "its blocks are not of 512 or 4096 bytes";
  if (capacity.blocks.value == 0 || capacity.blocks.value > kMostBytes / capacity.block_size) {
    return "its size makes no sense";
  }
  return nullptr;
}

}  // namespace

std::string stable_identity(const UnitFacts& facts) {
  constexpr std::array kBestFirst{DesignatorType::kNaa, DesignatorType::kEui64, DesignatorType::kScsiNameString,
                                  DesignatorType::kT10VendorId};
  for (const DesignatorType type : kBestFirst) {
    // The longest of a type says most; of several, the one that comes first in order, wherever it stands in the page.
    std::string best;
    for (const scsi::Designator& designator : facts.designators) {
      if (designator.association != scsi::Association::kLogicalUnit || designator.type != type) continue;
      std::string text = text_of(designator);
      if (text.size() > best.size() || (text.size() == best.size() && text < best)) best = std::move(text);
    }
    if (!best.empty()) return best;
  }
  const std::string serial = clean(facts.serial);
  if (serial.empty()) return {};
  return fmt::format("serial.{}.{}.{}", clean(facts.inquiry.vendor), clean(facts.inquiry.product), serial);
}

io::Task<Result<UnitFacts>> identify(UnitAccess access) {
  auto bytes = co_await access.inquiry();
  if (!bytes) co_return std::unexpected(std::move(bytes.error()));
  auto inquiry = scsi::decode_inquiry(*bytes);
  if (!inquiry) co_return fail(EPROTO, "the target's INQUIRY data are too short");
  if (inquiry->peripheral.qualifier != scsi::PeripheralQualifier::kConnected) {
    co_return fail(ENODEV, "the target has no such logical unit");
  }
  if (inquiry->peripheral.type != scsi::DeviceType::kDirectAccess) {
    co_return fail(ENOTBLK, fmt::format("the logical unit is no disk, but of device type {:02x}h",
                                        static_cast<unsigned>(inquiry->peripheral.type)));
  }
  UnitFacts facts;
  facts.inquiry = std::move(*inquiry);
  auto pages = co_await pages_of(access);
  if (!pages) co_return std::unexpected(std::move(pages.error()));
  auto serial = co_await page_if_listed(access, *pages, VpdPage::kUnitSerialNumber);
  if (!serial) co_return std::unexpected(std::move(serial.error()));
  facts.serial = scsi::decode_unit_serial_number(*serial).value_or(std::string());
  auto identification = co_await page_if_listed(access, *pages, VpdPage::kDeviceIdentification);
  if (!identification) co_return std::unexpected(std::move(identification.error()));
  facts.designators = scsi::decode_device_identification(*identification).value_or(std::vector<scsi::Designator>());
  auto limits = co_await read_limits(access, *pages, facts);
  if (!limits) co_return std::unexpected(std::move(limits.error()));
  co_return facts;
}

io::Task<Result<void>> measure(UnitAccess access, UnitFacts& facts) {
  std::optional<scsi::Capacity> capacity;
  auto sixteen = co_await access.capacity16();
  if (sixteen) {
    capacity = scsi::decode_capacity16(*sixteen);
  } else if (is_unknown(sixteen.error())) {
    facts.sixteen = false;
    auto ten = co_await access.capacity10();
    if (!ten) co_return std::unexpected(std::move(ten.error()));
    capacity = scsi::decode_capacity10(*ten);
  } else {
    co_return std::unexpected(std::move(sixteen.error()));
  }
  if (!capacity) co_return fail(EPROTO, "the target does not say how large the logical unit is");
  if (const char* const why = unusable(*capacity)) {
    co_return fail(ENOTSUP, fmt::format("the logical unit cannot be used: {}", why));
  }
  facts.capacity = *capacity;
  co_return Result<void>();
}

io::Task<Result<UnitFacts>> probe_again(UnitAccess access, UnitFacts known) {
  auto facts = co_await identify(access);
  if (!facts) co_return facts;
  if (stable_identity(*facts) != stable_identity(known)) co_return fail(ESTALE, "another logical unit");
  known.inquiry = std::move(facts->inquiry);
  known.designators = std::move(facts->designators);
  co_return known;
}

io::Task<Result<UnitFacts>> probe(UnitAccess access, bool without_size) {
  auto facts = co_await identify(access);
  if (!facts) co_return facts;
  auto measured = co_await measure(access, *facts);
  if (!measured) {
    if (!without_size || !is_conflict(measured.error())) co_return std::unexpected(std::move(measured.error()));
    facts->reserved = true;
  }
  auto mode = co_await read_mode(access, *facts);
  if (!mode) co_return std::unexpected(std::move(mode.error()));
  auto support = co_await read_support(access, *facts);
  if (!support) co_return std::unexpected(std::move(support.error()));
  co_return facts;
}

}  // namespace peerlane::initiator
