// The answer to SendTargets (RFC 7143 appendix C): the targets that an initiator may see, each with the addresses of
// its portals; and TargetAddress, which a login's "target moved" answer has as well (§13.8).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "iscsi/text.h"

namespace peerlane::iscsi {

/// domainname[:port][,portal-group-tag].
struct TargetAddress {
  std::string host;  // a name or a numeric address, without brackets
  std::uint16_t port = 3260;
  std::optional<std::uint16_t> group;  // portal group tag

  bool operator==(const TargetAddress&) const = default;
};

/// Reads a TargetAddress value; nothing if it is none.
std::optional<TargetAddress> parse_target_address(std::string_view text);

/// "host:port", with brackets around an IPv6 address; for people.
std::string to_string(const TargetAddress& address);

struct DiscoveredTarget {
  std::string name;                      // normalised
  std::vector<TargetAddress> addresses;  // empty: where the discovery session was

  bool operator==(const DiscoveredTarget&) const = default;
};

/// The targets in the pairs of a SendTargets answer, in their order. Errors, EPROTO, with a sentence: an address before
/// the first name, a name or address that is none. Other keys are not noticed.
Result<std::vector<DiscoveredTarget>> parse_targets(std::span<const KeyValue> pairs);

}  // namespace peerlane::iscsi
