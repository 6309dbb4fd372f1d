// The TransportID of an iSCSI initiator (SPC-4 §7.6.4.6): how the parameter data of persistent reservations name an
// initiator port, or all the ports of an initiator device.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"

namespace peerlane::scsi {

struct TransportId {
  std::string name;                        // iSCSI name
  std::optional<std::uint64_t> isid = {};  // 48 bits: the initiator port; none: the initiator device

  friend bool operator==(const TransportId&, const TransportId&) = default;
};

/// The longest there is: header, a name of 223 bytes, ",i,0x" and 12 digits, NUL, padding.
inline constexpr std::size_t kMaxTransportIdBytes = 4 + 244;

/// Writes the TransportID to `out` (kMaxTransportIdBytes); returns its size. The name is at most 223 bytes long.
std::size_t encode_transport_id(const TransportId& id, ByteSpan out);

/// A TransportID and the bytes that it took.
struct DecodedTransportId {
  TransportId id;
  std::size_t size = 0;
};

/// Reads the TransportID at the beginning of `bytes`. Nothing if it is cut off, of another protocol or format, or no
/// name in the form that the standard gives. Whether the name is an iSCSI name is not looked at.
std::optional<DecodedTransportId> decode_transport_id(ByteView bytes);

}  // namespace peerlane::scsi
