// For the tests of this room: bytes written as they are seen on a wire.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace peerlane::scsi::testing {

/// "12 34 ff" as bytes; blanks and line breaks separate, anything else is a mistake in the test.
inline std::vector<std::uint8_t> bytes(std::string_view hex) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    std::abort();
  };
  std::vector<std::uint8_t> result;
  for (std::size_t i = 0; i < hex.size();) {
    if (hex[i] == ' ' || hex[i] == '\n') {
      ++i;
      continue;
    }
    result.push_back(static_cast<std::uint8_t>(digit(hex.at(i)) * 16 + digit(hex.at(i + 1))));
    i += 2;
  }
  return result;
}

}  // namespace peerlane::scsi::testing
