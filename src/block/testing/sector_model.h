// For tests: what a disk may answer. Each sector is a register; all writes to it are kept with the time at which they
// began and ended, and a value is wrong if a later write has surely taken its place.
//
// A sector's content is one number, repeated through its 512 bytes: whoever finds different ones has found a torn
// sector. Numbers are never used twice, but for 0, which is what unmapped and zeroed sectors have. Thread-safe.
#pragma once

#include <cstdint>
#include <cstring>
#include <mutex>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace peerlane::block::testing {

inline constexpr std::size_t kSectorBytes = 512;

inline void fill_sector(ByteSpan sector, std::uint64_t value) {
  for (std::size_t at = 0; at < kSectorBytes; at += sizeof value) std::memcpy(sector.data() + at, &value, sizeof value);
}

/// The number that a sector has; nothing if it is torn.
inline std::optional<std::uint64_t> value_of(ByteView sector) {
  std::uint64_t value = 0;
  std::memcpy(&value, sector.data(), sizeof value);
  for (std::size_t at = 0; at < kSectorBytes; at += sizeof value) {
    if (std::memcmp(sector.data() + at, &value, sizeof value) != 0) return std::nullopt;
  }
  return value;
}

class SectorModel {
 public:
  using Time = std::uint64_t;

  explicit SectorModel(std::size_t sectors) : sectors_(sectors, {Record{.ok = true, .durable = true}}) {}

  Time now() {
    const std::lock_guard lock(mutex_);
    return ++clock_;
  }
  std::uint64_t new_value() {
    const std::lock_guard lock(mutex_);
    return ++values_;
  }

  /// A write of `value` to `count` sectors begins; the time it began is its name.
  Time begin_write(std::size_t first, std::size_t count, std::uint64_t value) {
    const std::lock_guard lock(mutex_);
    const Time start = ++clock_;
    for (std::size_t sector = first; sector < first + count; ++sector) {
      sectors_[sector].push_back({.value = value, .start = start, .end = kNever});
    }
    return start;
  }
  void end_write(std::size_t first, std::size_t count, Time start, bool ok, bool durable) {
    const std::lock_guard lock(mutex_);
    const Time end = ++clock_;
    for (std::size_t sector = first; sector < first + count; ++sector) {
      for (Record& record : sectors_[sector]) {
        if (record.start == start) record = {record.value, start, end, ok, ok && durable};
      }
    }
  }
  /// A flush that began at `start` has succeeded.
  void flushed(Time start) {
    const std::lock_guard lock(mutex_);
    for (auto& records : sectors_) {
      for (Record& record : records) record.durable = record.durable || (record.ok && record.end < start);
    }
  }

  /// Whether a read that began at `start` and ends now may give `value`.
  bool may_read(std::size_t sector, std::uint64_t value, Time start) {
    return possible(sector, value, [start](const Record& later) { return later.ok && later.end < start; });
  }
  /// Whether a sector may have `value` after a crash now.
  bool may_survive(std::size_t sector, std::uint64_t value) {
    return possible(sector, value, [](const Record& later) { return later.durable; });
  }

 private:
  static constexpr Time kNever = UINT64_MAX;
  struct Record {
    std::uint64_t value = 0;
    Time start = 0;
    Time end = 0;
    bool ok = false;
    bool durable = false;
  };

  /// Whether some write of `value` has not been replaced by a later one for which `settled` holds.
  template <typename Settled>
  bool possible(std::size_t sector, std::uint64_t value, Settled settled) {
    const std::lock_guard lock(mutex_);
    const std::vector<Record>& records = sectors_[sector];
    for (const Record& record : records) {
      if (record.value != value) continue;
      bool replaced = false;
      for (const Record& later : records) replaced = replaced || (later.start > record.end && settled(later));
      if (!replaced) return true;
    }
    return false;
  }

  std::mutex mutex_;
  std::vector<std::vector<Record>> sectors_;
  Time clock_ = 0;
  std::uint64_t values_ = 0;
};

}  // namespace peerlane::block::testing
