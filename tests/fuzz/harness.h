// What the fuzz harnesses share. A harness checks properties of what it fuzzes, not only that nothing crashes: a
// property that does not hold ends the program with a message, which libFuzzer and the replay driver both take as a
// finding.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace peerlane::fuzz {

inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property violated: %s\n", property);
  std::abort();
}

/// Takes an input apart from its front. Past its end everything is zero or empty.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    const ByteView one = bytes(1);
    return one.empty() ? std::uint8_t{0} : one[0];
  }
  std::uint16_t number() {
    const unsigned high = byte();
    return static_cast<std::uint16_t>(high << 8 | byte());
  }
  /// The next `count` bytes, or as many as there are.
  ByteView bytes(std::size_t count) {
    const ByteView taken = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  ByteView rest() { return bytes(rest_.size()); }

 private:
  ByteView rest_;
};

}  // namespace peerlane::fuzz
