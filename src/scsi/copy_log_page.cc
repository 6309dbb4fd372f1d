#include "scsi/copy_log_page.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/limits.h"

namespace peerlane::scsi {
namespace {

constexpr std::uint16_t kMemoryBytes = 0x0000;
constexpr std::uint16_t kFirstWay = 0x0001;
constexpr std::uint16_t kLastWay = 0x00ff;
constexpr std::uint16_t kLastCopy = 0x0100;
constexpr std::size_t kCounterBytes = 8;
constexpr char kLineFeed = '\n';
constexpr std::string_view kCut = "...";

static_assert(limits::kCopyLogWays <= kLastWay - kFirstWay + 1);
static_assert(kCounterBytes + limits::kCopyLogTextBytes <= UINT8_MAX);

std::string_view cut(std::string_view text) {
  return text.substr(0, limits::kCopyLogTextBytes);
}

std::string printable(ByteView bytes) {
  std::string text(as_text(bytes));
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~'; }, '?');
  return text;
}

CopyForecast forecast_of(ByteView text) {
  CopyForecast forecast;
  bool first = true;
  while (!text.empty() || first) {
    const auto length = static_cast<std::size_t>(std::ranges::find(text, kLineFeed) - text.begin());
    std::string line = printable(text.first(length));
    if (first) {
      forecast.way = std::move(line);
    } else {
      forecast.refusals.push_back(std::move(line));
    }
    first = false;
    text = text.subspan(std::min(length + 1, text.size()));
  }
  return forecast;
}

bool is_copy_log(ByteView page) {
  return log_page_code(page) == kCopyLogPage;
}

}  // namespace

void put_copy_log(const CopyLog& log, LogPageWriter& page) {
  std::array<std::uint8_t, kCounterBytes> memory{};
  put_be64(memory, 0, log.memory_bytes);
  page.add(kMemoryBytes, LogFormat::kUnboundedCounter, memory);
  std::uint16_t code = kFirstWay;
  for (const CopyLog::Way& way : log.ways) {
    if (code - kFirstWay == limits::kCopyLogWays) break;
    std::vector<std::uint8_t> value(kCounterBytes);
    put_be64(value, 0, way.bytes);
    const ByteView name = as_bytes(cut(way.name));
    value.insert(value.end(), name.begin(), name.end());
    page.add(code++, LogFormat::kBinaryList, value);
  }
  page.add(kLastCopy, LogFormat::kAsciiList, as_bytes(cut(log.last)));
}

void put_copy_forecast(Lun source, const CopyForecast& forecast, LogPageWriter& page) {
  std::string text = forecast.way;
  for (const std::string& refusal : forecast.refusals) text += kLineFeed + refusal;
  if (text.size() > limits::kCopyLogTextBytes) {
    text.resize(limits::kCopyLogTextBytes - kCut.size());
    text += kCut;
  }
  page.add(static_cast<std::uint16_t>(kCopyForecasts + source.value), LogFormat::kAsciiList, as_bytes(text));
}

std::optional<CopyLog> decode_copy_log(ByteView page) {
  if (!is_copy_log(page)) return std::nullopt;
  CopyLog log;
  for (const LogParameter& parameter : decode_log_parameters(page).value_or(std::vector<LogParameter>())) {
    if (parameter.code == kMemoryBytes && parameter.value.size() == kCounterBytes) {
      log.memory_bytes = parameter.number();
    } else if (parameter.code == kLastCopy) {
      log.last = printable(parameter.value);
    } else if (parameter.code <= kLastWay && parameter.value.size() > kCounterBytes &&
               log.ways.size() < limits::kCopyLogWays) {
      log.ways.push_back({printable(parameter.value.subspan(kCounterBytes)), get_be64(parameter.value, 0)});
    }
  }
  return log;
}

std::optional<CopyForecast> decode_copy_forecast(ByteView page, Lun source) {
  if (!is_copy_log(page)) return std::nullopt;
  for (const LogParameter& parameter : decode_log_parameters(page).value_or(std::vector<LogParameter>())) {
    if (parameter.code == kCopyForecasts + source.value) return forecast_of(parameter.value);
  }
  return std::nullopt;
}

}  // namespace peerlane::scsi
