// What the owner of a service has decided about third-party copies: how far they may go.
#pragma once

#include "pcie/peer_to_peer.h"

namespace peerlane::target {

class PeerUnits;

struct CopySettings {
  PeerUnits* peers = nullptr;                    // units of other targets; null: there are none
  pcie::Policy p2p = pcie::Policy::kSameSwitch;  // for copies over the bus
};

}  // namespace peerlane::target
