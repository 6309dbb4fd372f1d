// CSCD descriptors (SPC-4 §6.4.5): how EXTENDED COPY names its copy sources and copy destinations.
//
// A descriptor is of 32 bytes, or of 64 where an extension descriptor follows. Segment descriptors refer to one by its
// CSCD descriptor ID (§6.4.6.1): where it begins in the list, in units of 32 bytes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <span>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "scsi/designator.h"
#include "scsi/sense.h"

namespace peerlane::scsi {

/// DESCRIPTOR TYPE CODE of the CSCD descriptors that this code knows.
inline constexpr std::uint8_t kIdentificationCscd = 0xe4;
inline constexpr std::uint8_t kIpv4Cscd = 0xe5;
inline constexpr std::uint8_t kIpv6Cscd = 0xea;
inline constexpr std::uint8_t kIpCopyServiceCscd = 0xeb;
inline constexpr std::uint8_t kRodCscd = 0xfe;
inline constexpr std::uint8_t kCscdExtension = 0xff;

inline constexpr std::size_t kCscdBytes = 32;
inline constexpr std::size_t kMostCscdDesignatorBytes = 20;

/// CSCD descriptor IDs that are no place in the list (SPC-4 §6.4.6.1).
inline constexpr std::uint16_t kNullBlockUnit = 0xc000;
inline constexpr std::uint16_t kNullStreamUnit = 0xc001;
inline constexpr std::uint16_t kUnitOfRod = 0xf800;
inline constexpr std::uint16_t kAddressedUnit = 0xffff;  // the logical unit to which the command was sent

/// An address, a port, and what is spoken there.
struct IpEndpoint {
  bool ipv6 = false;
  std::array<std::uint8_t, 16> address = {};  // IPv4: the first four bytes, the rest are 0
  std::uint16_t port = 0;
  std::uint16_t protocol = 0;  // INTERNET PROTOCOL NUMBER: 6 is TCP

  friend bool operator==(const IpEndpoint&, const IpEndpoint&) = default;
};

/// A logical unit of the target at an address : IPv4 and IPv6 CSCD descriptors.
struct RemoteLun {
  IpEndpoint target = {};
  std::uint64_t lun = 0;  // as decode_lun() of scsi/lun.h takes it

  friend bool operator==(const RemoteLun&, const RemoteLun&) = default;
};

/// A logical unit that the copy service at an address knows by this name: IP copy service CSCD descriptor.
struct RemoteDesignator {
  IpEndpoint service = {};
  Designator designator;  // at most kMostCscdDesignatorBytes, without protocol

  friend bool operator==(const RemoteDesignator&, const RemoteDesignator&) = default;
};

/// A representation of data : ROD CSCD descriptor.
struct RodReference {
  std::uint16_t producer = 0;  // ROD PRODUCER CSCD DESCRIPTOR ID
  std::uint32_t type = 0;      // ROD TYPE, as in scsi/rod_token.h
  std::uint32_t lifetime = 0;  // seconds: of the token that is asked for
  std::uint32_t inactivity_timeout = 0;
  bool remote_token = false;       // R_TOKEN
  bool delete_token = false;       // DEL_TKN
  std::uint32_t token_offset = 0;  // of the token in the inline data

  friend bool operator==(const RodReference&, const RodReference&) = default;
};

struct Cscd {
  /// What it names. A Designator is an identification descriptor of a logical unit of this target: at
  /// most kMostCscdDesignatorBytes, without protocol.
  std::variant<Designator, RemoteLun, RemoteDesignator, RodReference> unit = {};
  std::uint8_t peripheral_type = 0;           // PERIPHERAL DEVICE TYPE
  bool null_device = false;                   // NUL of SPC-3: nothing that could be reached
  std::uint16_t relative_initiator_port = 0;  // through which to reach it; 0: any. Not with a RemoteDesignator
  bool pad = false;                           // PAD, of block devices
  std::uint32_t block_length = 0;             // DISK BLOCK LENGTH, 24 bits, of block devices; 0: whatever it is

  friend bool operator==(const Cscd&, const Cscd&) = default;
};

/// The designator by which a copy manager is to find a logical unit, of those that the unit states in page 83h: the
/// best of its own (not of its port) that fit a CSCD descriptor. NAA and EUI-64 first, since some copy managers know no
/// others. Null if there is none.
const Designator* copy_designator(std::span<const Designator> designators);

/// Whether a designator in a CSCD descriptor is this one of a logical unit, which may state a protocol with it.
bool same_unit(const Designator& in_cscd, const Designator& of_unit);

/// Whether the device type specific parameters are those of block devices.
bool is_block_device(std::uint8_t peripheral_type);

/// DESCRIPTOR TYPE CODE.
std::uint8_t cscd_type(const Cscd& cscd);

/// kCscdBytes, or twice that with an extension.
std::size_t cscd_bytes(const Cscd& cscd);

/// Appends the descriptor, with its extension. A designator that is too long is cut.
void append_cscd(const Cscd& cscd, std::vector<std::uint8_t>& out);

/// Reads the descriptor at the beginning of `list`, the rest of a CSCD descriptor list: at least kCscdBytes, and a
/// multiple of them. `position` is where that is in the parameter list, for field pointers. Errors: ILLEGAL REQUEST
/// with UNSUPPORTED TARGET DESCRIPTOR TYPE CODE; INVALID FIELD IN PARAMETER LIST for a designator that is too long, an
/// LU ID TYPE that is no LUN (where a designator names the unit it is ignored), a missing extension.
std::expected<Cscd, Sense> decode_cscd(ByteView list, std::size_t position);

}  // namespace peerlane::scsi
