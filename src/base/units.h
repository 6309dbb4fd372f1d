// Sizes as people write them ("4G", "512 MiB") and as they read them; counts of things.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace peerlane {

/// Parses a size in bytes: decimal digits, then optionally K, M, G, T or P (powers of 1024), optionally followed by
/// "iB" or "B"; upper or lower case, one space allowed before the unit. Errors: EINVAL for anything else, ERANGE past
/// 2^63-1.
Result<std::uint64_t> parse_size(std::string_view text);

/// A size for people: an exact multiple of a unit as that ("64 MiB"), otherwise with two decimals ("1.50 GiB").
std::string format_size(std::uint64_t bytes);

/// "1 portal", "2 portals". `what`: one of them, in a word that takes an s.
std::string plural(std::uint64_t count, std::string_view what);

}  // namespace peerlane
