#include "admin/address.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>

namespace peerlane::admin {
namespace {

constexpr std::uint16_t kDefaultPort = 3260;  // RFC 7143 §15

/// The 4 or 16 bytes of a numeric address in network order; empty if `text` is none.
std::vector<std::uint8_t> address_bytes(const std::string& text) {
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&v4);
    return {bytes, bytes + sizeof v4};
  }
  in6_addr v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6) == 1) return {std::begin(v6.s6_addr), std::end(v6.s6_addr)};
  return {};
}

std::string address_text(const std::vector<std::uint8_t>& bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (status != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// Address and port of a portal as text; the port is empty if there is none.
struct HostAndPort {
  std::string_view host;
  std::optional<std::string_view> port;
};

std::optional<HostAndPort> split_portal(std::string_view text) {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view host = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    if (host.find(':') == std::string_view::npos) return std::nullopt;
    if (rest.empty()) return HostAndPort{host, std::nullopt};
    if (!rest.starts_with(':')) return std::nullopt;
    return HostAndPort{host, rest.substr(1)};
  }
  const auto colon = text.find(':');
  const bool bare_v6 = colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos;
  if (colon == std::string_view::npos || bare_v6) return HostAndPort{text, std::nullopt};
  return HostAndPort{text.substr(0, colon), text.substr(colon + 1)};
}

/// Clears the bits of `bytes` after the first `prefix`.
void clear_host_bits(std::vector<std::uint8_t>& bytes, unsigned prefix) {
  for (unsigned bit = prefix; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] & ~(0x80u >> (bit % 8)));
  }
}

}  // namespace

std::expected<target::PortalDeclaration, Problem> parse_portal(std::string_view text) {
  const auto parts = split_portal(text);
  if (!parts || address_bytes(std::string(parts->host)).empty()) {
    return std::unexpected(
        Problem{fmt::format("\"{}\" is not a numeric address with an optional port", text),
                "write for example 127.0.0.1:3260, 192.0.2.7 or [::1]:3260; names are not looked up"});
  }
  target::PortalDeclaration portal;
  portal.host = parts->host;
  portal.port = kDefaultPort;
  if (parts->port) {
    const auto port = parse_number<std::uint16_t>(*parts->port);
    if (!port) {
      return std::unexpected(Problem{fmt::format("\"{}\" is not a TCP port", *parts->port),
                                     "give a number from 1 to 65535, or 0 to let the system choose"});
    }
    portal.port = *port;
  }
  return portal;
}

bool is_loopback(const std::string& host) {
  const std::vector<std::uint8_t> bytes = address_bytes(host);
  if (bytes.size() == 4) return bytes[0] == 127;
  if (bytes.size() != 16) return false;
  in6_addr address{};
  std::copy(bytes.begin(), bytes.end(), std::begin(address.s6_addr));
  return IN6_IS_ADDR_LOOPBACK(&address) || (IN6_IS_ADDR_V4MAPPED(&address) && bytes[12] == 127);
}

bool is_any_address(const std::string& host) {
  const std::vector<std::uint8_t> bytes = address_bytes(host);
  return !bytes.empty() && std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

Verdict check_address_pattern(std::string_view text) {
  const auto slash = text.find('/');
  std::vector<std::uint8_t> bytes = address_bytes(std::string(text.substr(0, slash)));
  if (bytes.empty()) {
    return Problem{fmt::format("\"{}\" is not a numeric address or address prefix", text),
                   "write for example 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"};
  }
  if (slash == std::string_view::npos) return std::nullopt;

  const auto prefix = parse_number<unsigned>(text.substr(slash + 1));
  if (!prefix || *prefix > bytes.size() * 8) {
    return Problem{fmt::format("\"{}\" has no valid prefix length after the slash", text),
                   fmt::format("give a number of bits from 0 to {}", bytes.size() * 8)};
  }
  const std::vector<std::uint8_t> given = bytes;
  clear_host_bits(bytes, *prefix);
  if (given != bytes) {
    return Problem{fmt::format("\"{}\" has bits set after its {} bits of prefix", text, *prefix),
                   fmt::format("write {}/{} for the network, or {} for the one address", address_text(bytes), *prefix,
                               address_text(given))};
  }
  return std::nullopt;
}

}  // namespace peerlane::admin
