// A warning that somebody can cause again and again: said at once when there is something new in it, and not for each
// time.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "io/executor.h"

namespace peerlane::target {

class RepeatedWarning {
 public:
  /// Whether it is to be said with this text now, and then how many have not been since the last one that was: the same
  /// text is said once a minute, another one a second later at the earliest.
  std::optional<unsigned> admit(std::string_view text, io::TimePoint now);

 private:
  std::string last_;
  std::optional<io::TimePoint> said_;
  unsigned untold_ = 0;
};

}  // namespace peerlane::target
