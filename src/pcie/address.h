// The address of a PCI function: domain (segment group), bus, device and function number, as Linux writes it
// (0000:03:00.0). PCI Express Base Specification §2.2.6.2 calls the last three together the Requester ID.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace peerlane::pcie {

struct Address {
  std::uint32_t domain = 0;
  std::uint8_t bus = 0;
  std::uint8_t device = 0;    // 0 to 31
  std::uint8_t function = 0;  // 0 to 7

  auto operator<=>(const Address&) const = default;
};

/// Reads "0000:03:00.0"; the domain has four to eight hexadecimal digits. Nothing for anything else.
std::optional<Address> parse_address(std::string_view text);

std::string to_string(const Address& address);

}  // namespace peerlane::pcie
