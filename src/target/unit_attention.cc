#include "target/unit_attention.h"

#include <algorithm>

#include "scsi/sense_codes.h"

namespace peerlane::target {
namespace {

constexpr bool is_reset(scsi::SenseCode code) {
  return static_cast<unsigned>(code) >> 8 == 0x29;
}

}  // namespace

void UnitAttentionQueue::establish(scsi::SenseCode code) {
  const std::lock_guard lock(mutex_);
  const std::size_t count = count_.load(std::memory_order_relaxed);
  if (is_reset(code)) {
    codes_[0] = code;
    count_.store(1, std::memory_order_release);
    return;
  }
  const auto end = codes_.begin() + static_cast<std::ptrdiff_t>(count);
  if (std::find(codes_.begin(), end, code) != end) return;
  if (count == codes_.size()) {
    codes_[0] = scsi::sense_codes::kPowerOnOrReset;
    count_.store(1, std::memory_order_release);
    return;
  }
  codes_[count] = code;
  count_.store(count + 1, std::memory_order_release);
}

std::optional<scsi::Sense> UnitAttentionQueue::take() {
  return take(false);
}

std::optional<scsi::Sense> UnitAttentionQueue::take_reset() {
  return take(true);
}

std::optional<scsi::Sense> UnitAttentionQueue::take(bool reset_only) {
  const std::lock_guard lock(mutex_);
  if (count_.load(std::memory_order_relaxed) == 0) return std::nullopt;
  if (reset_only && !is_reset(codes_[0])) return std::nullopt;
  scsi::Sense sense;
  sense.key = scsi::SenseKey::kUnitAttention;
  sense.code = codes_[0];
  remove(0);
  return sense;
}

void UnitAttentionQueue::clear(scsi::SenseCode code) {
  const std::lock_guard lock(mutex_);
  const std::size_t count = count_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < count; ++i) {
    if (codes_[i] == code) return remove(i);
  }
}

void UnitAttentionQueue::remove(std::size_t index) {
  const std::size_t count = count_.load(std::memory_order_relaxed);
  std::move(codes_.begin() + static_cast<std::ptrdiff_t>(index) + 1,
            codes_.begin() + static_cast<std::ptrdiff_t>(count), codes_.begin() + static_cast<std::ptrdiff_t>(index));
  count_.store(count - 1, std::memory_order_release);
}

}  // namespace peerlane::target
