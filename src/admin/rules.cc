#include "admin/rules.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

#include "admin/address.h"
#include "iscsi/name.h"

namespace peerlane::admin {
namespace {

Problem not_a_name(std::string_view text) {
  return {fmt::format("\"{}\" is not an iSCSI name", text), "write for example iqn.2026-11.com.example:disks"};
}

}  // namespace

std::expected<std::string, Problem> parse_name(std::string_view name) {
  Result<std::string> normalised = iscsi::normalise_name(name);
  if (!normalised) return std::unexpected(not_a_name(name));
  return *std::move(normalised);
}

std::expected<std::string, Problem> parse_name_pattern(std::string_view pattern) {
  if (!pattern.ends_with('*')) return parse_name(pattern);
  const std::string_view beginning = pattern.substr(0, pattern.size() - 1);
  const auto is_name_character = [](char c) { return c > 0x20 && c != '*' && c != 0x7f; };
  if (pattern.size() > iscsi::kMaxNameBytes || !std::ranges::all_of(beginning, is_name_character)) {
    return std::unexpected(not_a_name(pattern));
  }
  std::string normalised(pattern);
  for (char& c : normalised) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return normalised;
}

Verdict check_distinct_secrets(const target::Authentication& authentication) {
  if (!authentication.mutual) return std::nullopt;
  for (const target::ChapAccount& account : authentication.accounts) {
    if (account.secret != authentication.mutual->secret) continue;
    return Problem{fmt::format("the target's own secret is the same as that of the account \"{}\"", account.name),
                   "choose a different one for each direction: with one for both, an initiator could play the target"};
  }
  return std::nullopt;
}

bool portals_collide(const target::PortalDeclaration& one, const target::PortalDeclaration& other) {
  if (one.port != other.port || one.port == 0) return false;
  if (one.host == other.host) return true;
  const bool same_family = (one.host.find(':') == std::string::npos) == (other.host.find(':') == std::string::npos);
  return same_family && (is_any_address(one.host) || is_any_address(other.host));
}

bool reachable_through(const target::TargetDeclaration& target, std::uint16_t group_tag) {
  return target.portal_groups.empty() ||
         std::ranges::find(target.portal_groups, group_tag) != target.portal_groups.end();
}

Verdict check_exposure(const target::Declaration& declaration, const target::TargetDeclaration& target) {
  if (declaration.allow_anonymous || !target.authentication.allow_none) return std::nullopt;
  for (const target::PortalDeclaration& portal : declaration.portals) {
    if (is_loopback(portal.host) || !reachable_through(target, portal.group_tag)) continue;
    return Problem{
        fmt::format("{} could be used without authentication by everyone who reaches {}", target.name, portal.host),
        "ask for CHAP, listen on 127.0.0.1 only, or say allow_anonymous (--allow-anonymous) if that is meant"};
  }
  return std::nullopt;
}

std::string default_target_name() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') return "iqn.2026-11.dev.peerlane:localhost";
  std::string name = "iqn.2026-11.dev.peerlane:";
  for (const char* c = host.data(); *c != '\0'; ++c) {
    const auto byte = static_cast<unsigned char>(*c);
    const bool allowed = std::isalnum(byte) != 0 || *c == '.' || *c == '-';
    name += allowed ? static_cast<char>(std::tolower(byte)) : '-';
  }
  return name;
}

}  // namespace peerlane::admin
