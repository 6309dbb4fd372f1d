// Asymmetric logical unit access (SPC-4 §5.16.2): the parameter data of REPORT TARGET PORT GROUPS (§6.37) and SET
// TARGET PORT GROUPS (§6.45).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace peerlane::scsi {

/// ASYMMETRIC ACCESS STATE (SPC-4 table 307).
enum class AccessState : std::uint8_t {
  kOptimized = 0x0,
  kNonOptimized = 0x1,
  kStandby = 0x2,
  kUnavailable = 0x3,
  kBlockDependent = 0x4,
  kOffline = 0xe,
  kTransitioning = 0xf,
};

/// Why a group is in its state (SPC-4 table 308).
enum class AccessStatus : std::uint8_t { kNone = 0, kExplicit = 1, kImplicit = 2 };

/// Which states there can be: T_SUP to AO_SUP (SPC-4 table 306), or-ed.
enum SupportedAccessStates : std::uint8_t {
  kTransitioningSupported = 0x80,
  kOfflineSupported = 0x40,
  kBlockDependentSupported = 0x10,
  kUnavailableSupported = 0x08,
  kStandbySupported = 0x04,
  kNonOptimizedSupported = 0x02,
  kOptimizedSupported = 0x01,
};

/// A target port group descriptor (SPC-4 table 306).
struct TargetPortGroup {
  bool preferred = false;  // PREF
  AccessState state = AccessState::kOptimized;
  std::uint8_t supported = 0;  // SupportedAccessStates
  std::uint16_t group = 0;     // TARGET PORT GROUP
  AccessStatus status = AccessStatus::kNone;
  std::vector<std::uint16_t> ports;  // relative target port identifiers; at most 255

  friend bool operator==(const TargetPortGroup&, const TargetPortGroup&) = default;
};

inline constexpr std::size_t kPortGroupsHeaderBytes = 4;
inline constexpr std::size_t kPortGroupsExtendedHeaderBytes = 8;
inline constexpr std::size_t kPortGroupBytes = 8;
inline constexpr std::size_t kPortGroupPortBytes = 4;

/// Writes REPORT TARGET PORT GROUPS parameter data, with the extended header if that is wanted (SPC-4 tables 304 and
/// 305), to `out`, which has room for all; returns their size.
std::size_t encode_port_groups(std::span<const TargetPortGroup> groups, bool extended, ByteSpan out);

/// Reads either form; descriptors that are cut short are left out. Nothing if there is no header.
std::optional<std::vector<TargetPortGroup>> decode_port_groups(ByteView bytes);

/// A descriptor of SET TARGET PORT GROUPS (SPC-4 table 341).
struct SetTargetPortGroup {
  AccessState state = AccessState::kOptimized;
  std::uint16_t group = 0;

  friend bool operator==(const SetTargetPortGroup&, const SetTargetPortGroup&) = default;
};

inline constexpr std::size_t kSetPortGroupsHeaderBytes = 4;
inline constexpr std::size_t kSetPortGroupBytes = 4;
inline constexpr std::size_t kSetPortGroupField = 2;  // TARGET PORT GROUP in a descriptor

/// A view of a SET TARGET PORT GROUPS parameter list of whole descriptors.
class SetPortGroupsList {
 public:
  /// Nothing if `bytes` is not a header and whole descriptors.
  static std::optional<SetPortGroupsList> decode(ByteView bytes);

  std::size_t size() const { return descriptors_.size() / kSetPortGroupBytes; }
  SetTargetPortGroup operator[](std::size_t index) const;

 private:
  explicit SetPortGroupsList(ByteView descriptors) : descriptors_(descriptors) {}
  ByteView descriptors_;
};

/// Writes a parameter list to `out`, which has room for it; returns its size.
std::size_t encode_set_port_groups(std::span<const SetTargetPortGroup> groups, ByteSpan out);

}  // namespace peerlane::scsi
