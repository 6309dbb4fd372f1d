// Whether Linux trusts a root complex to forward requests from one of its root ports to another one, which the standard
// leaves to it (Base Specification §1.3.1). Linux 7's rules (drivers/pci/p2pdma.c): every AMD processor from Zen on,
// and host bridges that somebody has tested. Older kernels know fewer of them.
#pragma once

#include <cstdint>

#include "pcie/topology.h"

namespace peerlane::pcie {

enum class Forwarding : std::uint8_t {
  kNotKnown,      // Linux takes it that it does not
  kWithinBridge,  // between root ports of one host bridge
  kAcross,        // also to those of another one
};

/// What the list says of the host bridge with these IDs.
Forwarding host_bridge_forwarding(std::uint16_t vendor, std::uint16_t device);

/// Whether the processor is one whose host bridges all forward.
bool processor_forwards(const Processor& processor);

}  // namespace peerlane::pcie
