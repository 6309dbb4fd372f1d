// The target port groups of a logical unit and their asymmetric access states (SPC-4 §5.16.2). A portal group of an
// iSCSI target is one target port (RFC 7143 §4.2.7.3), and one target port group: the portal group's tag is the
// relative target port identifier and the identifier of the target port group.
//
// A session looks at its own group with one atomic load per command; changes take a lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "scsi/port_groups.h"
#include "target/declaration.h"

namespace peerlane::target {

/// One group, as long as its PortGroups.
class PortGroup {
 public:
  explicit PortGroup(const PortGroupDeclaration& declared)
      : tag(declared.tag), preferred(declared.preferred), access_(Access{declared.state, scsi::AccessStatus::kNone}) {}

  const std::uint16_t tag;  // of the portal group
  const bool preferred;     // PREF
  scsi::AccessState state() const { return access_.load(std::memory_order_acquire).state; }

 private:
  friend class PortGroups;
  struct alignas(2) Access {
    scsi::AccessState state = scsi::AccessState::kOptimized;
    scsi::AccessStatus status = scsi::AccessStatus::kNone;
  };
  std::atomic<Access> access_;
};

/// Thread-safe.
class PortGroups {
 public:
  /// No tag twice; at most limits::kPortalGroups.
  explicit PortGroups(std::span<const PortGroupDeclaration> declared);

  /// The group of a portal group tag. A tag that was not declared belongs to a group that is active/optimized for ever
  /// and that nobody is told of.
  const PortGroup& find(std::uint16_t tag) const;
  bool has(std::uint16_t tag) const;
  std::size_t size() const { return groups_.size(); }
  /// Their tags, in the order of their declaration.
  std::vector<std::uint16_t> tags() const;

  /// For REPORT TARGET PORT GROUPS.
  std::vector<scsi::TargetPortGroup> describe() const;

  /// Whether a group can be brought into a state: the active ones, standby and unavailable; transitioning is what the
  /// unit's owner may say, not an initiator.
  static bool can_enter(scsi::AccessState state);

  /// Brings groups, which exist, into their states; true if any of them had another one.
  bool change(std::span<const scsi::SetTargetPortGroup> changes, scsi::AccessStatus why);

 private:
  PortGroup undeclared_{PortGroupDeclaration{}};
  std::deque<PortGroup> groups_;
  std::mutex mutex_;  // held while states change
};

}  // namespace peerlane::target
