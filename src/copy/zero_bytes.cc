#include "copy/zero_bytes.h"

#include <algorithm>
#include <cstring>

namespace peerlane::copy {

/// Bytes are all zeroes if the first ones are, and each equals the one that stands some places before it.
bool all_zeroes(ByteView bytes) {
  constexpr std::size_t kLook = 16;
  const std::size_t look = std::min(kLook, bytes.size());
  if (!std::ranges::all_of(bytes.first(look), [](std::uint8_t byte) { return byte == 0; })) return false;
  return bytes.size() <= kLook || std::memcmp(bytes.data(), bytes.data() + kLook, bytes.size() - kLook) == 0;
}

}  // namespace peerlane::copy
