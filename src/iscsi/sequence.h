// The sequence numbers of iSCSI (RFC 7143 §4.2.2) and the target's side of command numbering.
//
// CmdSN, StatSN, DataSN and R2TSN are 32-bit serial numbers (RFC 1982): they wrap around, and one is before another if
// it is less than 2^31 steps behind it. Comparing two that are exactly 2^31 apart has no meaning; neither is before the
// other here.
#pragma once

#include <array>
#include <cassert>
#include <cstdint>
#include <optional>

#include "base/limits.h"

namespace peerlane::iscsi {

/// A serial number. `Tag` keeps CmdSN, StatSN and the others apart. There is no total order: do not sort by it.
template <typename Tag>
struct Serial {
  std::uint32_t value = 0;

  constexpr Serial() = default;
  constexpr explicit Serial(std::uint32_t v) : value(v) {}

  constexpr bool operator==(const Serial&) const = default;
  constexpr bool operator<(Serial other) const { return value != other.value && other.value - value < 0x80000000u; }
  constexpr bool operator>(Serial other) const { return other < *this; }
  constexpr bool operator<=(Serial other) const { return *this == other || *this < other; }
  constexpr bool operator>=(Serial other) const { return other <= *this; }

  constexpr Serial operator+(std::uint32_t steps) const { return Serial(value + steps); }
  constexpr Serial operator-(std::uint32_t steps) const { return Serial(value - steps); }
  constexpr Serial& operator++() {
    ++value;
    return *this;
  }
  constexpr Serial operator++(int) { return Serial(value++); }

  /// How many steps lead from `earlier` to this one.
  constexpr std::uint32_t steps_from(Serial earlier) const { return value - earlier.value; }
};

using CmdSn = Serial<struct CmdSnTag>;    // numbers commands in a session: CmdSN, ExpCmdSN, MaxCmdSN, RefCmdSN
using StatSn = Serial<struct StatSnTag>;  // numbers responses on a connection: StatSN, ExpStatSN

/// Command numbering at a target (RFC 7143 §4.2.2.1): which non-immediate commands of a session may be executed, in
/// which order, and how many more the initiator may send. Immediate commands neither have a place in it nor advance it.
///
/// The initiator may send the numbers from ExpCmdSN to MaxCmdSN. Each command takes one place of the window from its
/// arrival to its completion; completing one moves MaxCmdSN up by one, so that MaxCmdSN never moves back. Commands of
/// several connections may arrive out of order: those after a gap are held until the gap is filled.
///
/// Owned by a session; not thread-safe. Never allocates.
class CommandWindow {
 public:
  enum class Arrival {
    kDeliver,  // the next one: ExpCmdSN has moved past it
    kHold,     // within the window, but commands before it have not come: release() will name it
    kIgnore,   // a duplicate, or outside the window: RFC 7143 §4.2.2.1 has it silently ignored
  };

  /// A window whose first command is numbered `first`, with `size` places (1 to limits::kCommandWindow).
  explicit CommandWindow(CmdSn first, std::uint32_t size = limits::kCommandWindow)
      : size_(size), exp_cmd_sn_(first), max_cmd_sn_(first + (size - 1)) {
    assert(size >= 1 && size <= limits::kCommandWindow);
  }

  CmdSn exp_cmd_sn() const { return exp_cmd_sn_; }
  CmdSn max_cmd_sn() const { return max_cmd_sn_; }

  /// A non-immediate command numbered `cmd_sn` has arrived. After kDeliver the caller executes it and then every
  /// command that release() names. A task management function that aborts a command which has not come yet (RFC 7143
  /// §11.5.5, RefCmdSN) uses this as well, to take the number as received; it then has nothing to execute, and calls
  /// complete().
  Arrival arrive(CmdSn cmd_sn) {
    if (cmd_sn == exp_cmd_sn_ && cmd_sn <= max_cmd_sn_) [[likely]] {
      ++exp_cmd_sn_;
      return Arrival::kDeliver;
    }
    if (cmd_sn < exp_cmd_sn_ || cmd_sn > max_cmd_sn_ || held(cmd_sn)) return Arrival::kIgnore;
    flip(cmd_sn);
    ++holding_;
    return Arrival::kHold;
  }

  /// The next held command, if no gap is before it any more: ExpCmdSN has then moved past it.
  std::optional<CmdSn> release() {
    if (holding_ == 0 || !held(exp_cmd_sn_)) [[likely]]
      return std::nullopt;
    flip(exp_cmd_sn_);
    --holding_;
    return exp_cmd_sn_++;
  }

  /// A delivered command has ended: the initiator may send one more. Called once for each.
  void complete() {
    assert(max_cmd_sn_.steps_from(exp_cmd_sn_) + 1 < size_);
    ++max_cmd_sn_;
  }

 private:
  // One bit for each place of the largest window; at most that many numbers can be held at the same time.
  static constexpr std::uint32_t kPlaces = limits::kCommandWindow;
  static_assert(kPlaces % 64 == 0 && (kPlaces & (kPlaces - 1)) == 0);

  static constexpr std::uint64_t bit(CmdSn sn) { return std::uint64_t{1} << (sn.value % 64); }
  std::uint64_t& word(CmdSn sn) { return held_[sn.value % kPlaces / 64]; }
  bool held(CmdSn sn) { return (word(sn) & bit(sn)) != 0; }
  void flip(CmdSn sn) { word(sn) ^= bit(sn); }

  std::uint32_t size_;
  CmdSn exp_cmd_sn_;
  CmdSn max_cmd_sn_;
  std::uint32_t holding_ = 0;
  std::array<std::uint64_t, kPlaces / 64> held_{};
};

}  // namespace peerlane::iscsi
