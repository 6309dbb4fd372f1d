// Rules that a declaration must keep however it was written: as a file or on the command line.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "admin/finding.h"
#include "target/declaration.h"

namespace peerlane::admin {

/// The normalised form of an iSCSI name (RFC 7143 §4.2.7), in which names are compared.
std::expected<std::string, Problem> parse_name(std::string_view name);

/// The normalised form of an entry of an access list: an iSCSI name, or the beginning of one and a "*".
std::expected<std::string, Problem> parse_name_pattern(std::string_view pattern);

/// Checks that an initiator's account and the target's own do not share a secret (RFC 7143 §9.2.1).
Verdict check_distinct_secrets(const target::Authentication& authentication);

/// Whether two portals cannot be listened on at the same time.
bool portals_collide(const target::PortalDeclaration& one, const target::PortalDeclaration& other);

/// Whether `target` can be reached through a portal of group `group_tag`.
bool reachable_through(const target::TargetDeclaration& target, std::uint16_t group_tag);

/// Checks that what is reachable from beyond this host asks for authentication, unless `allow_anonymous` says that it
/// is meant.
Verdict check_exposure(const target::Declaration& declaration, const target::TargetDeclaration& target);

/// The default target name: iqn.2026-11.dev.peerlane:<host name>.
std::string default_target_name();

}  // namespace peerlane::admin
