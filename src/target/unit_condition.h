// What makes a logical unit answer commands with something else than what they ask for, beside unit attentions: a
// sanitize operation that goes on or has failed (SBC-4 §4.11), and a deferred error (SPC-4 §4.5.6). Commands look at
// one word, which is 0 as a rule.
//
// Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#include "scsi/sense.h"

namespace peerlane::target {

class UnitCondition {
 public:
  /// Whether there is anything out of the ordinary.
  bool any() const { return word_.load(std::memory_order_acquire) != 0; }

  // --- Sanitize operations ---

  bool sanitizing() const { return has(kSanitizing); }
  bool sanitize_failed() const { return has(kSanitizeFailed); }
  /// The failed operation may be left behind with EXIT FAILURE MODE: its AUSE bit was 1.
  bool failure_unrestricted() const { return has(kUnrestricted); }

  /// A sanitize operation begins; a failure of one before is over. False if one is going on already.
  bool begin_sanitize(bool unrestricted);
  /// How much of it is done, in parts of 65536.
  void set_progress(std::uint16_t progress) { progress_.store(progress, std::memory_order_relaxed); }
  /// It has ended.
  void end_sanitize(bool success);
  /// EXIT FAILURE MODE: the failure is over.
  void forget_sanitize_failure();

  /// What commands are refused with, and what REQUEST SENSE says: NOT READY with the progress while a sanitize
  /// operation goes on, MEDIUM ERROR after one that failed; otherwise nothing.
  std::optional<scsi::Sense> sanitize_sense() const;

  // --- Deferred errors ---

  /// An error after the command's status; `sense` says what it was. Only the last is kept.
  void defer(scsi::Sense sense);
  /// The deferred error, for the one command that is to report it.
  std::optional<scsi::Sense> take_deferred();

 private:
  enum Bit : unsigned { kSanitizing = 1, kSanitizeFailed = 2, kUnrestricted = 4, kDeferred = 8 };
  bool has(Bit bit) const { return (word_.load(std::memory_order_acquire) & bit) != 0; }

  std::atomic<unsigned> word_{0};
  std::atomic<std::uint16_t> progress_{0};
  std::mutex mutex_;  // for what follows, and for changes of the word
  scsi::Sense deferred_;
};

}  // namespace peerlane::target
