// How many pieces a copy has under way, found while it goes: the fewest with which it is as fast as with more.
//
// Too few leave a disk idle while the other one works, most of all where one is far away. Too many cost time as well:
// what is read no longer fits the processor's cache when it is written, and a disk that has one queue for all of it
// serves none of them better. The copy begins with a few. Now and then it tries twice as many, and half as many, and
// stays with what its rate says.
//
// Pure arithmetic, no clock.
#pragma once

#include <cstdint>

#include "base/limits.h"
#include "io/executor.h"

namespace peerlane::copy {

class Depth {
 public:
  /// `fixed`: as many, always, 1 to limits::kMostCopyDepth. 0: as many as are found to be best.
  explicit Depth(unsigned fixed) : adapting_(fixed == 0), depth_(adapting_ ? limits::kFirstCopyDepth : fixed) {}

  /// Pieces to have under way.
  unsigned now() const { return depth_; }

  /// The most that now() may come to be.
  unsigned most() const { return adapting_ ? limits::kMostCopyDepth : depth_; }

  /// A piece of so many bytes has been moved, at a time not before that of the last one. now() may be another one
  /// after it.
  void moved(std::uint64_t bytes, io::TimePoint when);

 private:
  enum class Trial : unsigned char { kNone, kMore, kLess };

  void judge(double rate);
  void keep(double rate);
  void try_more();
  void try_less();
  void rest();
  void measure(Trial trial, unsigned depth);

  const bool adapting_;
  unsigned depth_;

  Trial trial_ = Trial::kNone;
  unsigned best_ = depth_;   // what a trial comes back to
  double best_rate_ = 0;     // bytes a second with it
  unsigned first_ = depth_;  // best_ before the trials that go on
  io::TimePoint rests_until_;
  io::Duration rest_ = limits::kDepthRest;

  // The measurement that goes on.
  unsigned settling_ = depth_;  // pieces that do not count: they began before it, or fill the queues
  unsigned pieces_ = 0;
  std::uint64_t bytes_ = 0;
  io::TimePoint since_;
};

}  // namespace peerlane::copy
