// Unit attention conditions (SAM-5 §5.14): what a logical unit has to tell each I_T nexus before it does anything else
// for it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <optional>

#include "base/limits.h"
#include "scsi/sense.h"

namespace peerlane::target {

/// The unit attentions pending for one I_T_L nexus, oldest first, none twice. Thread-safe: established from any thread,
/// taken on the reactor of the session. A command without anything pending pays one atomic load.
class UnitAttentionQueue {
 public:
  /// Adds one. A reset (29h/xxh) takes the place of everything that was pending, since it tells the initiator to look
  /// at everything anew (SAM-5 §5.14.1); a queue that is full turns into the one that says so: 29h/00h.
  void establish(scsi::SenseCode code);

  /// Whether anything is pending.
  bool pending() const { return count_.load(std::memory_order_acquire) != 0; }

  /// Takes the oldest; its sense has the key UNIT ATTENTION. Nothing if none is pending.
  std::optional<scsi::Sense> take();

  /// Takes the oldest if it is that of a reset or a lost I_T nexus (29h/xxh), which comes before reservation conflicts
  /// (SAM-5 §5.3.3).
  std::optional<scsi::Sense> take_reset();

  /// Clears one condition, if it is pending.
  void clear(scsi::SenseCode code);

 private:
  std::optional<scsi::Sense> take(bool reset_only);
  void remove(std::size_t index);

  std::atomic<std::size_t> count_{0};  // changed under the lock
  std::mutex mutex_;
  std::array<scsi::SenseCode, limits::kUnitAttentions> codes_{};
};

}  // namespace peerlane::target
