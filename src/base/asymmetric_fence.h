// A pair of fences for the pattern "each side stores, then loads what the other stores" where one side is hot and the
// other rare: the hot side pays next to nothing, the rare side pays for both (membarrier(2)).
//
// If a thread stores A, calls light_fence() and loads B, and another stores B, calls heavy_fence() and loads A, then at
// least one of them sees the other's store, as if both had called std::atomic_thread_fence(seq_cst).
#pragma once

#include <atomic>

namespace peerlane {

namespace detail {
/// Whether this process may use membarrier(2); asked once, when the program starts.
extern const bool kHasMembarrier;
}  // namespace detail

/// The hot side's. Thread-safe.
inline void light_fence() {
  if (detail::kHasMembarrier) [[likely]] {
    std::atomic_signal_fence(std::memory_order_seq_cst);
  } else {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
}

/// The rare side's: takes microseconds. Thread-safe.
void heavy_fence();

}  // namespace peerlane
