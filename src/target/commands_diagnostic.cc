// SEND DIAGNOSTIC and RECEIVE DIAGNOSTIC RESULTS (SPC-4 §6.42 and §6.29).

#include <algorithm>
#include <array>

#include "scsi/sense_codes.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

// SEND DIAGNOSTIC (SPC-4 table 329), byte 1. DEVOFFL and UNITOFFL only allow a test more than this one does.
constexpr unsigned kSelfTestCodeShift = 5;
constexpr std::uint8_t kSelfTestCodeBit = 7;
constexpr std::uint8_t kPageFormat = 0x10;  // PF
constexpr std::uint8_t kPageFormatBit = 4;
constexpr std::uint8_t kSelfTest = 0x04;
constexpr std::uint8_t kForegroundShort = 5;
constexpr std::uint8_t kForegroundExtended = 6;
constexpr std::size_t kParameterListLength = 3;

// RECEIVE DIAGNOSTIC RESULTS (SPC-4 table 262).
constexpr std::uint8_t kPageCodeValid = 0x01;  // PCV, byte 1
constexpr std::size_t kPageCode = 2;

// The one diagnostic page: supported diagnostic pages (SPC-4 §7.2.3), page code 00h.
constexpr std::uint8_t kSupportedPages = 0x00;
constexpr std::array<std::uint8_t, 5> kSupportedPagesPage{kSupportedPages, 0x00, 0x00, 0x01, kSupportedPages};
constexpr std::size_t kPageHeaderBytes = 4;
constexpr std::size_t kPageLength = 2;

/// What the test finds out: that the ends of the disk can be read, and that it brings to its medium what it has taken.
io::Task<Completion> test_disk(CommandContext context) {
  scsi::Sense failed;
  failed.key = scsi::SenseKey::kHardwareError;
  failed.code = scsi::sense_codes::kSelfTestFailed;
  LogicalUnit& unit = context.unit;
  std::optional<io::Buffer> buffer = co_await context.command.allocate(unit.block_size());
  if (!buffer) co_return Completion::good();
  const std::array blocks{scsi::Lba{0}, scsi::Lba{unit.capacity().value - 1}};
  for (const scsi::Lba lba : blocks) {
    auto read = co_await unit.device().read(byte_offset(unit, lba), buffer->bytes());
    if (!read) co_return Completion::check(failed);
  }
  auto flushed = co_await unit.device().flush();
  if (!flushed) co_return Completion::check(failed);
  co_return Completion::good();
}

/// A page that is sent asks for its answer, which RECEIVE DIAGNOSTIC RESULTS fetches: it is always the same.
std::optional<scsi::Sense> check_page(ByteView page) {
  if (page.size() < kPageHeaderBytes) {
    return scsi::illegal_request(scsi::sense_codes::kParameterListLengthError);
  }
  if (page[0] != kSupportedPages) return scsi::invalid_field_in_parameter_list(0);
  if (get_be16(page, kPageLength) != 0) return scsi::invalid_field_in_parameter_list(kPageLength);
  return std::nullopt;
}

}  // namespace

io::Task<Completion> send_diagnostic(CommandContext context) {
  const std::uint8_t flags = context.cdb()[1];
  const unsigned code = flags >> kSelfTestCodeShift;
  const std::size_t length = get_be16(context.cdb(), kParameterListLength);
  const bool foreground = code == kForegroundShort || code == kForegroundExtended;
  if (code != 0 && (!foreground || (flags & kSelfTest) != 0)) {
    co_return Completion::check(scsi::invalid_field_in_cdb(1, kSelfTestCodeBit));
  }
  if (foreground || (flags & kSelfTest) != 0) {
    if (length != 0) co_return Completion::check(scsi::invalid_field_in_cdb(kParameterListLength));
    const Completion done = co_await test_disk(context);
    co_return done;
  }
  if (length == 0) co_return Completion::good();
  if ((flags & kPageFormat) == 0) co_return Completion::check(scsi::invalid_field_in_cdb(1, kPageFormatBit));
  const ParameterList list = co_await receive_parameter_list(context, length);
  if (!list) co_return list.error();
  const auto refused = check_page(list->bytes().first(length));
  co_return refused ? Completion::check(*refused) : Completion::good();
}

Answer receive_diagnostic_results(const CommandContext& context, ByteSpan out) {
  const ByteView cdb = context.cdb();
  if ((cdb[1] & kPageCodeValid) != 0 && cdb[kPageCode] != kSupportedPages) {
    return std::unexpected(scsi::invalid_field_in_cdb(kPageCode));
  }
  std::ranges::copy(kSupportedPagesPage, out.begin());
  return kSupportedPagesPage.size();
}

}  // namespace peerlane::target
