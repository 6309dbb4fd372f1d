#include "target/port_groups.h"

#include <algorithm>

namespace peerlane::target {
namespace {

constexpr std::uint8_t kSupported = scsi::kTransitioningSupported | scsi::kUnavailableSupported |
                                    scsi::kStandbySupported | scsi::kNonOptimizedSupported | scsi::kOptimizedSupported;

}  // namespace

PortGroups::PortGroups(std::span<const PortGroupDeclaration> declared) {
  for (const PortGroupDeclaration& group : declared) groups_.emplace_back(group);
}

const PortGroup& PortGroups::find(std::uint16_t tag) const {
  const auto at = std::ranges::find(groups_, tag, &PortGroup::tag);
  return at != groups_.end() ? *at : undeclared_;
}

bool PortGroups::has(std::uint16_t tag) const {
  return std::ranges::find(groups_, tag, &PortGroup::tag) != groups_.end();
}

std::vector<std::uint16_t> PortGroups::tags() const {
  std::vector<std::uint16_t> tags;
  for (const PortGroup& group : groups_) tags.push_back(group.tag);
  return tags;
}

std::vector<scsi::TargetPortGroup> PortGroups::describe() const {
  std::vector<scsi::TargetPortGroup> descriptions;
  for (const PortGroup& group : groups_) {
    const auto access = group.access_.load(std::memory_order_acquire);
    descriptions.push_back({.preferred = group.preferred,
                            .state = access.state,
                            .supported = kSupported,
                            .group = group.tag,
                            .status = access.status,
                            .ports = {group.tag}});
  }
  return descriptions;
}

bool PortGroups::can_enter(scsi::AccessState state) {
  return state == scsi::AccessState::kOptimized || state == scsi::AccessState::kNonOptimized ||
         state == scsi::AccessState::kStandby || state == scsi::AccessState::kUnavailable;
}

bool PortGroups::change(std::span<const scsi::SetTargetPortGroup> changes, scsi::AccessStatus why) {
  const std::lock_guard lock(mutex_);
  bool changed = false;
  for (const scsi::SetTargetPortGroup& wanted : changes) {
    const auto at = std::ranges::find(groups_, wanted.group, &PortGroup::tag);
    if (at == groups_.end() || at->state() == wanted.state) continue;
    at->access_.store({wanted.state, why}, std::memory_order_release);
    changed = true;
  }
  return changed;
}

}  // namespace peerlane::target
