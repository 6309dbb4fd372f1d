// What a service should be, as data: portals, targets, LUNs, who may log in. The configuration file and the command
// line are both turned into this, and `target::Server` makes it so. No defaults are filled in anywhere else.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/limits.h"
#include "block/filter_options.h"
#include "pcie/peer_to_peer.h"
#include "scsi/port_groups.h"

namespace peerlane::target {

/// Where the service listens. `host` is a numeric IPv4 or IPv6 address without brackets.
struct PortalDeclaration {
  std::string host = "127.0.0.1";
  std::uint16_t port = 3260;    // 0: the system chooses one
  std::uint16_t group_tag = 1;  // TargetPortalGroupTag (RFC 7143 §13.9)
};

/// One CHAP account (RFC 7143 §12.1.3). The secret never appears in logs.
struct ChapAccount {
  std::string name;    // CHAP_N
  std::string secret;  // at least 12 bytes (RFC 7143 §9.2.1)
};

/// Who may log in where something demands authentication.
struct Authentication {
  bool allow_none = true;             // AuthMethod=None is acceptable
  std::vector<ChapAccount> accounts;  // initiators' accounts; empty: CHAP is not offered
  std::optional<ChapAccount> mutual;  // how the target proves itself when an initiator asks for it
};

struct LunDeclaration {
  std::uint16_t number = 0;               // below limits::kLuns
  std::string disk;                       // a disk spec: block::open_device
  std::string name;                       // for people: product text, logs; empty: derived from the disk
  std::uint32_t block_size = 0;           // 512 or 4096; 0: the disk's own
  std::uint32_t physical_block_size = 0;  // 512 or 4096, as told to initiators; 0: the disk's own
  bool read_only = false;
  bool direct = true;          // O_DIRECT where possible
  bool write_through = false;  // every write reaches stable storage before its status: WCE is 0
  block::FilterOptions filters;
};

/// Which initiators may use a target. Empty lists admit everyone.
struct AccessDeclaration {
  std::vector<std::string> initiators;  // iSCSI names; a trailing * matches any rest
  std::vector<std::string> addresses;   // numeric addresses or CIDR prefixes
};

/// A portal group of a target as its target port group (SPC-4 §5.16.2).
struct PortGroupDeclaration {
  std::uint16_t tag = 1;  // of the portal group; both relative target port and target port group identifier
  scsi::AccessState state = scsi::AccessState::kOptimized;  // at the start; one that PortGroups::can_enter
  bool preferred = false;                                   // PREF: initiators should prefer it
};

struct TargetDeclaration {
  std::string name;                                 // iSCSI name
  std::string alias;                                // TargetAlias; may be empty
  std::vector<std::uint16_t> portal_groups;         // portal group tags it is reachable through; empty: all
  std::vector<PortGroupDeclaration> access_states;  // of portal groups; those not named are active/optimized
  AccessDeclaration access;
  Authentication authentication;
  std::vector<LunDeclaration> luns;
};

/// A target of somebody else that third-party copies may come from and, if it is writable, go to. What our account may
/// do there everyone may do through a copy whom this admits.
struct PeerDeclaration {
  std::string target;                   // its iSCSI name
  std::string host;                     // of its portal: a name, or a numeric address without brackets
  std::uint16_t port = 3260;            // of its portal
  std::string initiator_name;           // ours there; empty: initiator::initiator_name()
  std::optional<ChapAccount> account;   // ours there
  std::optional<ChapAccount> mutual;    // what it must prove itself with; needs `account`
  std::vector<std::string> targets;     // through which of our targets it may be asked for, by name; empty: all
  std::vector<std::string> initiators;  // by whom, as in AccessDeclaration
  bool writable = false;                // it may be a copy destination, too
  /// Identities of disks, as in scsi::DiskPlace, that are the same hardware there and here; a trailing * matches any
  /// rest. What the peer states to lie on one of these is read from this machine's disk.
  std::vector<std::string> shared_disks = {};
};

struct Declaration {
  std::vector<PortalDeclaration> portals;
  std::vector<TargetDeclaration> targets;
  Authentication discovery;           // for discovery sessions
  std::string state;                  // directory for what survives a restart; empty: nothing does
  unsigned threads = 0;               // reactors, up to limits::kThreads; 0: one per processor
  std::chrono::microseconds poll{0};  // how long a reactor looks for work before it sleeps, up to limits::kMaxPoll
  std::uint64_t cache_memory = limits::kCacheBytes;  // bytes, for all disks that have a cache
  std::vector<PeerDeclaration> peers;                // up to limits::kPeers; no other target is ever dialled
  pcie::Policy p2p = pcie::Policy::kSameSwitch;      // for copies over the bus
  bool allow_anonymous = false;                      // listening beyond loopback without authentication is meant
};

}  // namespace peerlane::target
