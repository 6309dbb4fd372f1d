#include "pcie/address.h"

#include <charconv>

#include <fmt/format.h>

namespace peerlane::pcie {
namespace {

/// Takes `least` to `most` hexadecimal digits and then `end` (or, if that is 0, the end of the text) off its front.
std::optional<std::uint32_t> take_hex(std::string_view& text, std::size_t least, std::size_t most, char end) {
  const std::size_t length = end == 0 ? text.size() : text.find(end);
  if (length == std::string_view::npos || length < least || length > most) return std::nullopt;
  std::uint32_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + length, value, 16);
  if (error != std::errc() || stop != text.data() + length) return std::nullopt;
  text.remove_prefix(length + (end == 0 ? 0 : 1));
  return value;
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  const auto domain = take_hex(text, 4, 8, ':');
  if (!domain) return std::nullopt;
  const auto bus = take_hex(text, 2, 2, ':');
  if (!bus) return std::nullopt;
  const auto device = take_hex(text, 2, 2, '.');
  if (!device || *device > 31) return std::nullopt;
  const auto function = take_hex(text, 1, 1, 0);
  if (!function || *function > 7) return std::nullopt;
  return Address{*domain, static_cast<std::uint8_t>(*bus), static_cast<std::uint8_t>(*device),
                 static_cast<std::uint8_t>(*function)};
}

std::string to_string(const Address& address) {
  return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", address.domain, address.bus, address.device, address.function);
}

}  // namespace peerlane::pcie
