// Discovery: which targets a portal tells of, by SendTargets in a discovery session (RFC 7143 §4.3, appendix C), and
// which logical units a target has.
#pragma once

#include <cstdint>
#include <vector>

#include "base/error.h"
#include "initiator/link.h"
#include "initiator/session.h"
#include "iscsi/send_targets.h"

namespace peerlane::initiator {

/// The targets that the portal at `link` shows to this initiator, each with at least one address. `login` has no target
/// name. Errors: as open_link(); EPROTO, an answer that is none.
io::Task<Result<std::vector<iscsi::DiscoveredTarget>>> discover(io::Reactor& reactor, LinkOptions link,
                                                                LoginTerms login);

/// The LUNs of a session's target (REPORT LUNS), as far as they have a single level, in the order of the answer.
io::Task<Result<std::vector<std::uint32_t>>> report_luns(Session& session);

}  // namespace peerlane::initiator
