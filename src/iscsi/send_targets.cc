#include "iscsi/send_targets.h"

#include <algorithm>

#include <fmt/format.h>

#include "iscsi/keys.h"
#include "iscsi/name.h"

namespace peerlane::iscsi {
namespace {

constexpr std::uint64_t kMost16 = 0xffff;

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == ':' || c == '%';
}

std::optional<std::uint16_t> parse_16_bits(std::string_view text) {
  const auto number = parse_number(text);
  if (!number || *number > kMost16) return std::nullopt;
  return static_cast<std::uint16_t>(*number);
}

}  // namespace

std::optional<TargetAddress> parse_target_address(std::string_view text) {
  TargetAddress address;
  if (const auto comma = text.rfind(','); comma != std::string_view::npos) {
    const auto group = parse_16_bits(text.substr(comma + 1));
    if (!group) return std::nullopt;
    address.group = group;
    text = text.substr(0, comma);
  }
  std::string_view host = text;
  std::string_view rest;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
    if (!rest.empty() && !rest.starts_with(':')) return std::nullopt;
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos && colon == text.rfind(':')) {
    host = text.substr(0, colon);
    rest = text.substr(colon);
  }
  if (!rest.empty()) {
    const auto port = parse_16_bits(rest.substr(1));
    if (!port || *port == 0) return std::nullopt;
    address.port = *port;
  }
  if (host.empty() || !std::ranges::all_of(host, is_host_character)) return std::nullopt;
  address.host = host;
  return address;
}

std::string to_string(const TargetAddress& address) {
  const bool brackets = address.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", brackets ? "[" : "", address.host, brackets ? "]" : "", address.port);
}

Result<std::vector<DiscoveredTarget>> parse_targets(std::span<const KeyValue> pairs) {
  std::vector<DiscoveredTarget> targets;
  for (const KeyValue& pair : pairs) {
    if (pair.key == spec_of(Key::kTargetName).name) {
      auto name = normalise_name(pair.value);
      if (!name) return fail(EPROTO, fmt::format("\"{}\" is no target name", printable(pair.value)));
      targets.push_back({std::move(*name), {}});
    } else if (pair.key == spec_of(Key::kTargetAddress).name) {
      auto address = parse_target_address(pair.value);
      if (!address) return fail(EPROTO, fmt::format("\"{}\" is no target address", printable(pair.value)));
      if (targets.empty()) return fail(EPROTO, "an address comes before the first target name");
      targets.back().addresses.push_back(std::move(*address));
    }
  }
  return targets;
}

}  // namespace peerlane::iscsi
