// Numeric addresses as configurations write them: portals, and what access lists admit.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "admin/finding.h"
#include "target/declaration.h"

namespace peerlane::admin {

/// "ADDRESS", "ADDRESS:PORT", "[IPv6]" or "[IPv6]:PORT" (an IPv6 address may go without brackets where no port follows)
/// as a portal of group 1. The port is 3260 if none is given; 0 lets the system choose.
std::expected<target::PortalDeclaration, Problem> parse_portal(std::string_view text);

/// Whether only this host can reach a numeric address: 127.0.0.0/8, ::1 and the former mapped into IPv6.
bool is_loopback(const std::string& host);

/// Whether a numeric address stands for all addresses of the host: 0.0.0.0 or ::.
bool is_any_address(const std::string& host);

/// Checks an entry of an access list: a numeric address or an address prefix ("192.0.2.0/24").
Verdict check_address_pattern(std::string_view text);

}  // namespace peerlane::admin
