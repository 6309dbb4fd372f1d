// LOG SENSE and LOG SELECT (SPC-4 §6.8 and §6.7). A log page is a row of a table.

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/limits.h"
#include "scsi/copy_log_page.h"
#include "scsi/log_page.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"
#include "target/copy_forecast.h"

namespace peerlane::target {
namespace {

// LOG SENSE (SPC-4 table 165) and LOG SELECT (table 162).
constexpr std::size_t kPageByte = 2;
constexpr unsigned kPageControlShift = 6;
constexpr std::uint8_t kPageControlBit = 7;
constexpr std::uint8_t kPageMask = 0x3f;
constexpr std::uint8_t kPageBit = 5;
constexpr std::size_t kSubpageByte = 3;
constexpr std::size_t kParameterPointer = 5;
constexpr std::uint8_t kParameterCodeReset = 0x02;  // PCR, byte 1
constexpr std::size_t kParameterListLength = 7;

scsi::LogPageControl page_control(ByteView cdb) {
  return static_cast<scsi::LogPageControl>(cdb[kPageByte] >> kPageControlShift);
}
scsi::LogPageCode page_code(ByteView cdb) {
  return {static_cast<std::uint8_t>(cdb[kPageByte] & kPageMask), cdb[kSubpageByte]};
}

// --- Pages. Nothing is in them that is not known. ---

/// General statistics and performance (SPC-4 §7.3.6). The default of a counter is 0. Time is not measured: intervals
/// are 0, of a length of 0, but their parameters have to be there.
void put_statistics(const CommandContext& context, scsi::LogPageControl control, scsi::LogPageWriter& page) {
  constexpr std::uint16_t kGeneral = 0x0001;
  constexpr std::uint16_t kIdleTime = 0x0002;
  constexpr std::uint16_t kTimeInterval = 0x0003;
  constexpr std::array<std::uint8_t, 8> kNoTime{};
  IoTotals totals;
  if (control == scsi::LogPageControl::kCumulative) totals = context.unit.statistics();
  std::array<std::uint8_t, 64> value{};
  put_be64(value, 0, totals.reads);
  put_be64(value, 8, totals.writes);
  put_be64(value, 16, totals.blocks_written);  // received
  put_be64(value, 24, totals.blocks_read);     // transmitted
  page.add(kGeneral, scsi::LogFormat::kUnboundedCounter, value);
  page.add(kIdleTime, scsi::LogFormat::kUnboundedCounter, kNoTime);
  page.add(kTimeInterval, scsi::LogFormat::kBinaryList, kNoTime);
}

/// Informational exceptions (SPC-4 §7.3.8): there are none, and no thermometer.
void put_exceptions(const CommandContext&, scsi::LogPageControl, scsi::LogPageWriter& page) {
  constexpr std::uint16_t kGeneral = 0x0000;
  constexpr std::array<std::uint8_t, 4> kNothing{0x00, 0x00, 0xff, 0x00};  // sense code, its qualifier, temperature
  page.add(kGeneral, scsi::LogFormat::kBinaryList, kNothing);
}

/// Logical block provisioning (SBC-4 §6.4.4): blocks that have space, and that there is space for. The threshold
/// exponent is 0, so a resource is one block; what does not fit is FFFFFFFFh.
void put_provisioning(const CommandContext& context, scsi::LogPageControl, scsi::LogPageWriter& page) {
  constexpr std::uint16_t kAvailable = 0x0001;
  constexpr std::uint16_t kUsed = 0x0002;
  constexpr std::uint8_t kDedicated = 1;  // SCOPE
  constexpr std::uint8_t kShared = 2;
  const auto space = context.unit.device().space();
  if (!space) return;
  const auto add = [&](std::uint16_t code, std::uint64_t bytes, std::uint8_t scope) {
    std::array<std::uint8_t, 8> value{};
    const std::uint64_t blocks = bytes / context.unit.block_size();
    put_be32(value, 0, static_cast<std::uint32_t>(std::min<std::uint64_t>(blocks, UINT32_MAX)));
    value[4] = scope;
    page.add(code, scsi::LogFormat::kBinaryList, value);
  };
  if (space->available) add(kAvailable, *space->available, kShared);
  add(kUsed, space->used, kDedicated);
}

/// Third-party copies to this unit: those that have been.
void put_copies(const CommandContext& context, scsi::LogPageControl control, scsi::LogPageWriter& page) {
  if (control == scsi::LogPageControl::kCumulative) scsi::put_copy_log(context.unit.copy_tally().log(), page);
}

struct PageRow {
  scsi::LogPageCode code;
  void (*put)(const CommandContext& context, scsi::LogPageControl control, scsi::LogPageWriter& page);  // null: a list
  bool thin_only = false;
};

constexpr std::array kPages{
    PageRow{scsi::kSupportedLogPages, nullptr},
    PageRow{scsi::kSupportedLogSubpages, nullptr},
    PageRow{scsi::kProvisioningLogPage, put_provisioning, true},
    PageRow{scsi::kStatisticsLogPage, put_statistics},
    PageRow{scsi::kInformationalExceptionsLogPage, put_exceptions},
    PageRow{scsi::kCopyLogPage, put_copies},
};

bool offers_page(const LogicalUnit& unit, const PageRow& row) {
  return !row.thin_only || (unit.capabilities().unmap && unit.device().space());
}

std::size_t put_supported(const LogicalUnit& unit, bool subpages, ByteSpan out) {
  std::array<scsi::LogPageCode, kPages.size()> codes{};
  std::size_t count = 0;
  for (const PageRow& row : kPages) {
    if (offers_page(unit, row)) codes.at(count++) = row.code;
  }
  return scsi::encode_supported_log_pages(std::span(codes).first(count), subpages, out);
}

/// The row of the page that the CDB names, or why there is none.
std::expected<const PageRow*, scsi::Sense> find_page(const CommandContext& context) {
  const scsi::LogPageCode code = page_code(context.cdb());
  const auto* const row = std::ranges::find(kPages, code, &PageRow::code);
  if (row != kPages.end() && offers_page(context.unit, *row)) return row;
  const bool page_exists = std::ranges::any_of(
      kPages, [&](const PageRow& any) { return any.code.page == code.page && offers_page(context.unit, any); });
  return std::unexpected(page_exists ? scsi::invalid_field_in_cdb(kSubpageByte)
                                     : scsi::invalid_field_in_cdb(kPageByte, kPageBit));
}

}  // namespace

namespace {

/// A page of what is known already.
Answer put_page(const CommandContext& context, ByteSpan out) {
  const ByteView cdb = context.cdb();
  const auto row = find_page(context);
  if (!row) return std::unexpected(row.error());
  const std::uint16_t first = get_be16(cdb, kParameterPointer);
  if ((*row)->put == nullptr) {
    if (first != 0) return std::unexpected(scsi::invalid_field_in_cdb(kParameterPointer));
    return put_supported(context.unit, (*row)->code == scsi::kSupportedLogSubpages, out);
  }
  // No parameter has a threshold.
  const scsi::LogPageControl control = page_control(cdb);
  if (control == scsi::LogPageControl::kThreshold || control == scsi::LogPageControl::kDefaultThreshold) {
    return std::unexpected(scsi::invalid_field_in_cdb(kPageByte, kPageControlBit));
  }
  scsi::LogPageWriter page((*row)->code, first, out);
  (*row)->put(context, control, page);
  const std::size_t size = page.finish();
  if (size == scsi::kLogPageHeaderBytes && first != 0) {
    return std::unexpected(scsi::invalid_field_in_cdb(kParameterPointer));
  }
  return size;
}

bool asks_for_forecasts(ByteView cdb) {
  return page_code(cdb) == scsi::kCopyLogPage && page_control(cdb) == scsi::LogPageControl::kCumulative &&
         get_be16(cdb, kParameterPointer) >= scsi::kCopyForecasts;
}

/// Third-party copies that might be: from units that the nexus has, beginning with the one that is asked for.
io::Task<std::size_t> put_forecasts(CommandContext context, ByteSpan out) {
  const std::uint16_t first = get_be16(context.cdb(), kParameterPointer);
  scsi::LogPageWriter page(scsi::kCopyLogPage, first, out);
  NexusView& view = context.nexus.view();
  unsigned told = 0;
  for (const scsi::Lun lun : view.luns()) {
    if (scsi::kCopyForecasts + lun.value < first) continue;
    ItlNexus* const source = view.find(lun);
    if (source == nullptr || source == &context.nexus) continue;
    if (told++ == limits::kCopyForecasts || context.command.aborted()) break;
    const auto forecast = co_await forecast_copy(*source, context.nexus);
    scsi::put_copy_forecast(lun, forecast, page);
  }
  co_return page.finish();
}

}  // namespace

io::Task<Completion> log_sense(CommandContext context) {
  std::optional<io::Buffer> buffer = co_await context.command.allocate(kAnswerBytes);
  if (!buffer) co_return Completion::good();
  Answer size;
  if (asks_for_forecasts(context.cdb())) {
    size = co_await put_forecasts(context, buffer->bytes());
  } else {
    size = put_page(context, buffer->bytes());
  }
  if (!size) co_return Completion::check(size.error());
  send_answer(context.command, context.description, std::move(*buffer), *size);
  co_return Completion::good();
}

/// There is nothing to be sent, but counters can be set to 0: with PCR, or by asking for the default cumulative values.
Answer log_select(const CommandContext& context, ByteSpan) {
  const ByteView cdb = context.cdb();
  if (get_be16(cdb, kParameterListLength) != 0)
    return std::unexpected(scsi::invalid_field_in_cdb(kParameterListLength));
  const auto row = find_page(context);
  if (!row) return std::unexpected(row.error());
  const bool all = (*row)->code == scsi::kSupportedLogPages;  // page code 0 names no page, but all
  if (!all && (*row)->code != scsi::kStatisticsLogPage) return std::size_t{0};
  if ((cdb[1] & kParameterCodeReset) == 0 && page_control(cdb) != scsi::LogPageControl::kDefaultCumulative) {
    return std::size_t{0};
  }
  context.unit.reset_statistics();
  context.unit.establish(scsi::sense_codes::kLogParametersChanged, &context.nexus);
  return std::size_t{0};
}

}  // namespace peerlane::target
