#include "target/unit_condition.h"

#include "scsi/sense_codes.h"

namespace peerlane::target {

bool UnitCondition::begin_sanitize(bool unrestricted) {
  const std::lock_guard lock(mutex_);
  const unsigned word = word_.load(std::memory_order_relaxed);
  if ((word & kSanitizing) != 0) return false;
  progress_.store(0, std::memory_order_relaxed);
  word_.store((word & kDeferred) | kSanitizing | (unrestricted ? kUnrestricted : 0u), std::memory_order_release);
  return true;
}

void UnitCondition::end_sanitize(bool success) {
  const std::lock_guard lock(mutex_);
  const unsigned word = word_.load(std::memory_order_relaxed);
  const unsigned kept = success ? word & kDeferred : (word & (kDeferred | kUnrestricted)) | kSanitizeFailed;
  word_.store(kept, std::memory_order_release);
}

void UnitCondition::forget_sanitize_failure() {
  const std::lock_guard lock(mutex_);
  const unsigned word = word_.load(std::memory_order_relaxed);
  if ((word & kSanitizing) == 0) word_.store(word & kDeferred, std::memory_order_release);
}

std::optional<scsi::Sense> UnitCondition::sanitize_sense() const {
  const unsigned word = word_.load(std::memory_order_acquire);
  if ((word & (kSanitizing | kSanitizeFailed)) == 0) return std::nullopt;
  scsi::Sense sense;
  if ((word & kSanitizing) != 0) {
    sense.key = scsi::SenseKey::kNotReady;
    sense.code = scsi::sense_codes::kSanitizeInProgress;
    sense.progress = progress_.load(std::memory_order_relaxed);
  } else {
    sense.key = scsi::SenseKey::kMediumError;
    sense.code = scsi::sense_codes::kSanitizeCommandFailed;
  }
  return sense;
}

void UnitCondition::defer(scsi::Sense sense) {
  const std::lock_guard lock(mutex_);
  deferred_ = sense;
  deferred_.deferred = true;
  word_.fetch_or(kDeferred, std::memory_order_release);
}

std::optional<scsi::Sense> UnitCondition::take_deferred() {
  const std::lock_guard lock(mutex_);
  if ((word_.fetch_and(~unsigned{kDeferred}, std::memory_order_acq_rel) & kDeferred) == 0) return std::nullopt;
  return deferred_;
}

}  // namespace peerlane::target
