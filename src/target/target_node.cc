#include "target/target_node.h"

#include <algorithm>

#include "target/access.h"

namespace peerlane::target {

bool TargetNode::in_portal_group(std::uint16_t group_tag) const {
  return declaration.portal_groups.empty() || std::ranges::count(declaration.portal_groups, group_tag) != 0;
}

bool TargetNode::admits(const std::string& initiator, const std::string& address) const {
  const AccessDeclaration& access = declaration.access;
  const bool by_name =
      access.initiators.empty() || std::ranges::any_of(access.initiators, [&](const std::string& entry) {
        return matches_initiator(entry, initiator);
      });
  const bool by_address =
      access.addresses.empty() ||
      std::ranges::any_of(access.addresses, [&](const std::string& entry) { return matches_address(entry, address); });
  return by_name && by_address;
}

}  // namespace peerlane::target
