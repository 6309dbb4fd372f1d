// What the sessions of a storm share: what they are to do, when logical units were reset, and what was done in all.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "region.h"

namespace peerlane::storm {

using Clock = std::chrono::steady_clock;

/// Ends the program with what has gone wrong, and the seed.
[[noreturn]] void die(const std::string& what);

struct Options {
  std::string host;
  std::uint16_t port = 0;
  std::string target;
  unsigned luns = 1;
  unsigned sessions = 64;
  double seconds = 10;
  double patience = 1;  // time limits are multiplied by it
  std::uint64_t seed = 0;
};

/// When something happened that ends other sessions' commands. Thread-safe.
class Moments {
 public:
  /// It has been asked for: it happens at some time until its end, and on a busy machine that is long.
  void begin() { ++under_way_; }
  /// It has been answered, or nobody can hear the answer any more.
  void end() {
    last_ = Clock::now().time_since_epoch().count();
    --under_way_;
  }
  /// Whether it may have hit what was begun at `when`: it has not ended, or after that, or so shortly before that not
  /// all of it may have been over.
  bool may_have_hit(Clock::time_point when, double patience) const {
    if (under_way_ != 0) return true;
    const std::int64_t last = last_;
    const auto margin = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(3 * patience));
    return last != 0 && Clock::time_point(Clock::duration(last)) + margin > when;
  }

 private:
  std::atomic<unsigned> under_way_{0};
  std::atomic<std::int64_t> last_{0};
};

struct Counts {
  std::atomic<std::uint64_t> reads{0}, writes{0}, bytes{0}, aborted{0}, attentions{0}, busy{0};
  std::atomic<std::uint64_t> functions{0}, resets{0}, logins{0}, drops{0}, reinstatements{0}, logouts{0};
};

struct Storm {
  static constexpr unsigned kMostLuns = 8;

  Options options;
  std::array<Moments, kMostLuns> resets;  // of a logical unit, or of the whole target
  Moments cold_resets;                    // which end all sessions
  Counts counts;
  std::vector<std::unique_ptr<Region>> shared;  // one for each LUN
  std::atomic<bool> stop{false};
  std::atomic<unsigned> ready{0};  // sessions that have no commands of the storm any more
};

}  // namespace peerlane::storm
