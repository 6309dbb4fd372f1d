#include "base/units.h"

#include <array>
#include <cctype>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace peerlane {
namespace {

constexpr std::string_view kUnits = "KMGTP";

/// The exponent of 1024 that a unit stands for; -1 if it is none.
int unit_exponent(std::string_view unit) {
  if (unit.empty() || unit == "B" || unit == "b") return 0;
  const auto letter = kUnits.find(static_cast<char>(std::toupper(static_cast<unsigned char>(unit.front()))));
  if (letter == std::string_view::npos) return -1;
  const std::string_view rest = unit.substr(1);
  const bool known = rest.empty() || rest == "B" || rest == "b" || rest == "iB" || rest == "ib" || rest == "IB";
  return known ? static_cast<int>(letter) + 1 : -1;
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  const int exponent = unit_exponent(unit);
  if (status == std::errc::invalid_argument || exponent < 0) {
    return fail(EINVAL, fmt::format("\"{}\" is not a size; write for example 512M, 4G or 1T", text));
  }
  constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();
  if (status == std::errc::result_out_of_range || number > kLargest >> (10 * exponent)) {
    return fail(ERANGE, fmt::format("the size \"{}\" is larger than any disk", text));
  }
  return number << (10 * exponent);
}

std::string format_size(std::uint64_t bytes) {
  int exponent = 0;
  while (exponent < static_cast<int>(kUnits.size()) && bytes >> (10 * exponent) >= 1024) ++exponent;
  if (exponent == 0) return fmt::format("{} bytes", bytes);
  const std::uint64_t unit = std::uint64_t{1} << (10 * exponent);
  const char letter = kUnits[static_cast<std::size_t>(exponent - 1)];
  if (bytes % unit == 0) return fmt::format("{} {}iB", bytes / unit, letter);
  return fmt::format("{:.2f} {}iB", static_cast<double>(bytes) / static_cast<double>(unit), letter);
}

std::string plural(std::uint64_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace peerlane
