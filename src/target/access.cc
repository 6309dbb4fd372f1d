#include "target/access.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

#include <arpa/inet.h>

namespace peerlane::target {
namespace {

constexpr std::size_t kV4Offset = 12;  // of an IPv4 address in its mapped form, ::ffff:a.b.c.d

struct Address {
  std::array<std::uint8_t, 16> bytes{};  // IPv4 in its mapped form
  bool v4 = false;
};

std::optional<Address> parse(const std::string& text) {
  Address address;
  if (inet_pton(AF_INET, text.c_str(), address.bytes.data() + kV4Offset) == 1) {
    address.bytes[10] = 0xff;
    address.bytes[11] = 0xff;
    address.v4 = true;
    return address;
  }
  if (inet_pton(AF_INET6, text.c_str(), address.bytes.data()) != 1) return std::nullopt;
  return address;
}

bool same_prefix(const Address& a, const Address& b, unsigned bits) {
  const std::size_t whole = bits / 8;
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + static_cast<std::ptrdiff_t>(whole), b.bytes.begin())) return false;
  const unsigned rest = bits % 8;
  return rest == 0 || (a.bytes[whole] ^ b.bytes[whole]) >> (8 - rest) == 0;
}

}  // namespace

bool matches_initiator(std::string_view entry, std::string_view name) {
  if (entry.ends_with('*')) return name.starts_with(entry.substr(0, entry.size() - 1));
  return entry == name;
}

bool matches_address(const std::string& entry, const std::string& address) {
  const std::size_t slash = entry.find('/');
  const auto network = parse(entry.substr(0, slash));
  const auto host = parse(address);
  if (!network || !host) return false;
  unsigned bits = 128;
  if (slash != std::string::npos) {
    const std::string_view length = std::string_view(entry).substr(slash + 1);
    const auto [end, status] = std::from_chars(length.data(), length.data() + length.size(), bits);
    const unsigned most = network->v4 ? 32 : 128;
    if (status != std::errc() || end != length.data() + length.size() || bits > most) return false;
    if (network->v4) bits += 8 * kV4Offset;
  }
  return same_prefix(*network, *host, bits);
}

std::string host_of(std::string_view address) {
  if (address.starts_with('[')) return std::string(address.substr(1, address.find(']') - 1));
  return std::string(address.substr(0, address.rfind(':')));
}

}  // namespace peerlane::target
