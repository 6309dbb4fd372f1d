// Memory for coroutine frames: per-thread free lists by size, so that starting a coroutine costs a few instructions and
// no heap allocation once a thread has warmed up.
//
// A frame may be returned by another thread than the one that took it; it then joins that thread's lists. Under
// AddressSanitizer every frame comes from the heap, so that use after free is seen.
#pragma once

#include <cstddef>

namespace peerlane::io {

/// Memory for a frame of `size` bytes, aligned for any type. Larger frames than 4 KiB come from the heap.
void* allocate_frame(std::size_t size);

/// Returns what `allocate_frame(size)` gave.
void free_frame(void* frame, std::size_t size) noexcept;

}  // namespace peerlane::io
