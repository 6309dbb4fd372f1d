// Whether memory is all zeroes.
#pragma once

#include "base/bytes.h"

namespace peerlane::copy {

/// Never allocates; as fast as memory for zeroes, and done at once with what begins otherwise.
bool all_zeroes(ByteView bytes);

}  // namespace peerlane::copy
