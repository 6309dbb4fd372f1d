// The log: one line per event, none per command, to standard error, as text or as JSON objects.
//
// A line names the session where there is one (initiator, target, ISID) and says what to do where something is to be
// done. All functions are thread-safe. Before `init` is called, lines of level info and above go out as text.
#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace peerlane::log {

enum class Level { kDebug, kInfo, kWarning, kError };

/// Sets the format and the lowest level that is shown. Called once, before threads are started.
void init(Level lowest, bool json);

/// Writes one line, if its level is shown.
void write(Level level, std::string_view line);

/// Whether lines of this level are shown.
bool enabled(Level level);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kDebug)) write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kInfo)) write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kWarning)) write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::kError)) write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace peerlane::log
