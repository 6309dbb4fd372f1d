// The mode parameters of a logical unit that can be changed (SPC-4 §5.8, §6.9, §7.5), in their kinds: current, default,
// saved, and which can be changed. There is one set for all I_T nexuses (mode page policy: shared). How they appear in
// mode pages is in target/mode_pages.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/error.h"
#include "io/task.h"
#include "target/exclusive.h"
#include "target/saved_state.h"

namespace peerlane::target {

/// Values, or which of them can be changed. Four bytes, so that they are read in one atomic load.
struct alignas(4) ModeValues {
  bool write_cache = false;             // WCE: what was written may be lost until SYNCHRONIZE CACHE
  bool descriptor_sense = false;        // D_SENSE: sense data have descriptor format
  bool software_write_protect = false;  // SWP

  friend bool operator==(const ModeValues&, const ModeValues&) = default;
};

/// Thread-safe.
class ModeParameters {
 public:
  ModeParameters(const ModeValues& defaults, const ModeValues& changeable, SavedState saved_state);

  ModeValues current() const { return current_.load(std::memory_order_acquire); }
  const ModeValues& defaults() const { return defaults_; }
  const ModeValues& changeable() const { return changeable_; }
  /// The defaults until something is saved.
  ModeValues saved() const { return saved_.load(std::memory_order_acquire); }
  /// Whether values can be saved at all.
  bool can_save() const { return saved_state_.possible(); }

  /// Makes what was saved in an earlier life the saved and current values. Errors: it cannot be read. Blocks; before
  /// any command.
  Result<void> load();

  /// To be held from reading the current values to set().
  Exclusive& changes() { return changes_; }
  void set(const ModeValues& values) { current_.store(values, std::memory_order_release); }
  /// Makes `values` the saved ones, on stable storage. Needs can_save(), and changes() held.
  io::Task<Result<void>> save(ModeValues values);

  /// After a reset the current values are the saved ones.
  void restore() { set(saved()); }

 private:
  const ModeValues defaults_;
  const ModeValues changeable_;
  const SavedState saved_state_;
  std::atomic<ModeValues> current_;
  std::atomic<ModeValues> saved_;
  Exclusive changes_;
};

}  // namespace peerlane::target
