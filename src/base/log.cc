#include "base/log.h"

#include <atomic>
#include <memory>
#include <string>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace peerlane::log {
namespace {

std::atomic<Level> lowest_level{Level::kInfo};

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
  return out;
}

/// What comes from a peer may end up in a line: a control character must not forge a second one.
std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

struct Output {
  std::shared_ptr<spdlog::logger> logger;
  std::atomic<bool> json{false};

  Output() : logger(std::make_shared<spdlog::logger>("peerlane", std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
    logger->set_level(spdlog::level::trace);
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
    logger->flush_on(spdlog::level::trace);
  }
};

Output& output() {
  static Output instance;
  return instance;
}

}  // namespace

void init(Level lowest, bool json) {
  lowest_level = lowest;
  Output& out = output();
  out.json = json;
  if (json) out.logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":%v})");
}

bool enabled(Level level) {
  return level >= lowest_level.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view line) {
  if (!enabled(level)) return;
  Output& out = output();
  out.logger->log(spdlog_level(level), "{}", out.json ? json_string(line) : printable(line));
}

}  // namespace peerlane::log
