// A PCI Express link: its data rate, its width, and what follows from them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace peerlane::pcie {

struct Link {
  std::uint32_t rate = 0;   // millions of transfers a second of one lane (MT/s): 2500 to 128000; 0: not known
  std::uint32_t lanes = 0;  // 1 to 32; 0: not known

  bool operator==(const Link&) const = default;
  bool known() const { return rate != 0 && lanes != 0; }

  /// Bytes a second in one direction that the encoding leaves: 8b/10b up to 5 GT/s, 128b/130b up to 32 GT/s, and in
  /// flit mode (64 GT/s on) 236 of 256 bytes, which is what a flit has for transaction layer packets (Base
  /// Specification 6.0 §4.2.3.1). Packets' headers are not taken off. 0 if the link is not known.
  std::uint64_t bytes_per_second() const;
};

/// Reads what sysfs says in *_link_speed ("16.0 GT/s PCIe", "2.5 GT/s"): MT/s; 0 for "Unknown...". Nothing for
/// anything else.
std::optional<std::uint32_t> parse_link_rate(std::string_view text);

/// "16 GT/s x4"; "unknown" if it is not known.
std::string to_string(const Link& link);

}  // namespace peerlane::pcie
