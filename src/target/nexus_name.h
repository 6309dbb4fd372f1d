// The name of an I_T nexus.
#pragma once

#include <cstdint>
#include <string>

namespace peerlane::target {

/// Who an I_T nexus joins (SAM-5 §4.5.5): the initiator port and the target port of a session (RFC 7143 §4.2.7.3).
struct NexusName {
  std::string initiator;           // iSCSI name
  std::uint64_t isid = 0;          // 48 bits; with the name it is the initiator port
  std::uint16_t portal_group = 1;  // target portal group tag; with the target's name it is the target port

  friend bool operator==(const NexusName&, const NexusName&) = default;
};

}  // namespace peerlane::target
