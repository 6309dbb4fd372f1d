#include "copy/depth.h"

#include <algorithm>
#include <chrono>

namespace peerlane::copy {
namespace {

constexpr double kWorthMore = 1.1;  // more pieces have to be so much faster
constexpr double kWorthLess = 1.0;  // fewer must not be slower

}  // namespace

void Depth::moved(std::uint64_t bytes, io::TimePoint when) {
  if (!adapting_) return;
  if (settling_ > 0) {
    --settling_;
    since_ = when;
    // A short copy is over before trials pay.
    if (best_rate_ == 0) rests_until_ = when + rest_;
    return;
  }
  ++pieces_;
  bytes_ += bytes;
  const io::Duration taken = when - since_;
  if (pieces_ < limits::kDepthPieces * depth_ || taken < limits::kDepthStep) return;
  since_ = when;
  judge(static_cast<double>(bytes_) / std::chrono::duration<double>(taken).count());
}

void Depth::judge(double rate) {
  switch (trial_) {
    case Trial::kNone:
      if (since_ < rests_until_) return measure(Trial::kNone, best_);
      keep(rate);
      first_ = best_;
      return try_more();
    case Trial::kMore:
      if (rate < best_rate_ * kWorthMore) return best_ == first_ ? try_less() : rest();
      keep(rate);
      return try_more();
    case Trial::kLess:
      if (rate < best_rate_ * kWorthLess) return rest();
      keep(rate);
      return try_less();
  }
}

void Depth::keep(double rate) {
  best_ = depth_;
  best_rate_ = rate;
}

void Depth::try_more() {
  if (best_ == limits::kMostCopyDepth) return try_less();
  measure(Trial::kMore, best_ * 2);
}

void Depth::try_less() {
  if (best_ == 1) return rest();
  measure(Trial::kLess, best_ / 2);
}

/// The longer it stays the same, the less often others are tried.
void Depth::rest() {
  rest_ = best_ == first_ ? std::min<io::Duration>(rest_ * 2, limits::kMostDepthRest) : limits::kDepthRest;
  rests_until_ = since_ + rest_;
  measure(Trial::kNone, best_);
}

void Depth::measure(Trial trial, unsigned depth) {
  settling_ = depth == depth_ ? 0 : std::max(depth, depth_);
  trial_ = trial;
  depth_ = depth;
  pieces_ = 0;
  bytes_ = 0;
}

}  // namespace peerlane::copy
