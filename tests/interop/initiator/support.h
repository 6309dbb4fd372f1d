// What all parts of the exercise need: giving up with a sentence, content that can be known again, options.
#pragma once

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/error.h"
#include "initiator/disk.h"

namespace peerlane::exercise {

[[noreturn]] inline void give_up(const std::string& why) {
  fmt::print(stderr, "{}\n", why);
  std::_Exit(1);
}

inline void require(bool holds, const std::string& what) {
  if (!holds) give_up(what);
}

template <typename T>
T value_of(Result<T> result, const std::string& doing) {
  if (!result) give_up(fmt::format("{}: {} (errno {})", doing, result.error().text(), result.error().code));
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

inline std::vector<std::uint8_t> pattern(std::size_t size, std::uint32_t seed) {
  std::vector<std::uint8_t> bytes(size);
  std::minstd_rand random(seed + 1);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 8);
  return bytes;
}

inline initiator::DiskOptions options_from_environment() {
  initiator::DiskOptions options;
  if (const auto seconds = initiator::process_environment("PEERLANE_EXERCISE_REPLACEMENT")) {
    options.session.replacement_timeout = std::chrono::seconds(std::stoi(*seconds));
    options.session.reconnect_most = std::chrono::milliseconds(500);
  }
  if (const auto milliseconds = initiator::process_environment("PEERLANE_EXERCISE_PATIENCE")) {
    const std::chrono::milliseconds patience(std::stoi(*milliseconds));
    options.session.connection.nop_interval = options.session.connection.nop_timeout = patience;
    options.session.link.login_timeout = 2 * patience;
  }
  return options;
}

}  // namespace peerlane::exercise
