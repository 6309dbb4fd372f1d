#include "copy/way.h"

#include <fmt/format.h>

namespace peerlane::copy {

std::string_view name(Way way) {
  switch (way) {
    case Way::kSkip:
      return "skip";
    case Way::kZeroes:
      return "zeroes";
    case Way::kHostMemory:
      return "host memory";
  }
  return "";
}

Error explain(std::string_view doing, std::string_view end, std::uint64_t offset, const Error& error) {
  return {error.code, fmt::format("{} {} at offset {}: {}", doing, end, offset, error.text())};
}

}  // namespace peerlane::copy
