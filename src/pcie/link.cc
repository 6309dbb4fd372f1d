#include "pcie/link.h"

#include <charconv>

#include <fmt/format.h>

namespace peerlane::pcie {

std::uint64_t Link::bytes_per_second() const {
  const std::uint64_t bits = std::uint64_t{rate} * 1'000'000 * lanes;
  if (rate <= 5000) return bits / 8 * 8 / 10;
  if (rate <= 32000) return bits / 8 * 128 / 130;
  return bits / 8 * 236 / 256;
}

std::optional<std::uint32_t> parse_link_rate(std::string_view text) {
  if (text.starts_with("Unknown")) return 0;
  unsigned whole = 0;
  const char* const end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, whole);
  if (error != std::errc() || whole == 0 || whole > 256) return std::nullopt;
  unsigned tenth = 0;
  if (end - at >= 2 && *at == '.' && at[1] >= '0' && at[1] <= '9') {
    tenth = static_cast<unsigned>(at[1] - '0');
    at += 2;
  }
  if (!std::string_view(at, static_cast<std::size_t>(end - at)).starts_with(" GT/s")) return std::nullopt;
  return whole * 1000 + tenth * 100;
}

std::string to_string(const Link& link) {
  if (!link.known()) return "unknown";
  return fmt::format(
      "{} GT/s x{}",
      link.rate % 1000 == 0 ? fmt::format("{}", link.rate / 1000) : fmt::format("{:.1f}", link.rate / 1000.0),
      link.lanes);
}

}  // namespace peerlane::pcie
