// The configuration space of a PCI function (Base Specification §7.5), as far as peer-to-peer transfers depend on it:
// what kind of port it is, and its Access Control Services (§7.7.11).
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace peerlane::pcie {

/// Device/Port Type of the PCI Express Capabilities Register (§7.5.3.2).
enum class Role : std::uint8_t {
  kEndpoint,  // also legacy and root complex integrated ones, and what is not PCI Express
  kRootPort,
  kUpstreamPort,    // of a switch
  kDownstreamPort,  // of a switch
  kBridge,          // to or from conventional PCI
};

/// The ACS Control Register (§7.7.11.3), where there is one.
struct Acs {
  static constexpr std::uint16_t kRequestRedirect = 1 << 2;
  static constexpr std::uint16_t kCompletionRedirect = 1 << 3;
  static constexpr std::uint16_t kEgressControl = 1 << 5;

  /// How much is known about it.
  enum class State : std::uint8_t { kNotVisible, kAbsent, kPresent };

  State state = State::kNotVisible;
  std::uint16_t control = 0;

  bool operator==(const Acs&) const = default;

  /// Whether a request from one device to another one below this function may be sent up to the root complex, or
  /// blocked: what Linux looks at.
  bool redirects() const {
    return state == State::kPresent && (control & (kRequestRedirect | kCompletionRedirect | kEgressControl)) != 0;
  }
};

struct ConfigSpace {
  std::optional<Role> role;  // nothing if the capability is not visible, or the function has none
  Acs acs;
};

/// Reads the bytes of a sysfs `config` file. Without privileges these are the first 64 only (128 of a CardBus bridge),
/// which have no capabilities in them: `acs` is then not visible. Chains that lead nowhere or in circles end.
ConfigSpace decode_config_space(ByteView bytes);

}  // namespace peerlane::pcie
