#include "target/repeated_warning.h"

#include <chrono>
#include <utility>

namespace peerlane::target {
namespace {

constexpr std::chrono::seconds kSamePause{60};
constexpr std::chrono::seconds kOtherPause{1};

}  // namespace

std::optional<unsigned> RepeatedWarning::admit(std::string_view text, io::TimePoint now) {
  const io::Duration pause = text == last_ ? kSamePause : kOtherPause;
  if (said_ && now - *said_ < pause) {
    ++untold_;
    return std::nullopt;
  }
  last_ = text;
  said_ = now;
  return std::exchange(untold_, 0u);
}

}  // namespace peerlane::target
