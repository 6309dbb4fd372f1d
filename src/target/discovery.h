// SendTargets (RFC 7143 §13.3 and Appendix C): which targets an initiator may log in to, and at which addresses.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "iscsi/negotiation.h"
#include "iscsi/text.h"

namespace peerlane::target {

/// An address that an initiator can connect to. `host` is numeric, without brackets.
struct PortalAddress {
  std::string host;
  std::uint16_t port = 0;
  std::uint16_t group_tag = 1;
};

/// "192.0.2.1:3260,1", "[2001:db8::1]:3260,1": the value of TargetAddress (RFC 7143 §13.8).
std::string target_address(const PortalAddress& portal);

/// A target that the initiator who asks may see.
struct VisibleTarget {
  std::string name;
  std::vector<PortalAddress> portals;
};

/// Answers SendTargets=`value` with TargetName and TargetAddress pairs. `own` is the target that the session is logged
/// in to, empty in a discovery session. All is for discovery sessions only, an empty value for others only, and a name
/// asks for that target, in a normal session for its own; what is not allowed is answered Reject. False if
/// limits::kSendTargetsBytes left some targets out.
bool answer_send_targets(std::string_view value, std::string_view own, std::span<const VisibleTarget> visible,
                         iscsi::TextWriter& answers);

/// Answers a whole text of the full feature phase: SendTargets, and what may still be negotiated. Errors, EPROTO: to be
/// answered with a Reject of the Text Request.
Result<void> answer_text(std::span<const iscsi::KeyValue> pairs, iscsi::Negotiator& negotiator, std::string_view own,
                         std::span<const VisibleTarget> visible, iscsi::TextWriter& answers);

}  // namespace peerlane::target
