// An iSCSI target node (RFC 7143 §4.1): a name that initiators log in to, the SCSI target device behind it, and the
// rules for who may use it.
#pragma once

#include <string>

#include "target/declaration.h"
#include "target/target_device.h"

namespace peerlane::target {

struct TargetNode {
  explicit TargetNode(TargetDeclaration declared) : declaration(std::move(declared)), device(declaration.name) {}

  const std::string& name() const { return declaration.name; }

  /// Whether it is reachable through a portal group.
  bool in_portal_group(std::uint16_t group_tag) const;
  /// Whether the access list admits an initiator of this (normalised) name from this numeric address (without port).
  bool admits(const std::string& initiator, const std::string& address) const;

  const TargetDeclaration declaration;
  TargetDevice device;
};

}  // namespace peerlane::target
