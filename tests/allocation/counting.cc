#include "counting.h"

#include <cstddef>

namespace peerlane::allocation {

std::atomic<bool> counting{false};
std::atomic<std::uint64_t> allocations{0};
bool (*counts_here)() = nullptr;

namespace {

void count() {
  if (counting.load(std::memory_order_relaxed) && counts_here()) allocations.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace
}  // namespace peerlane::allocation

// glibc's own functions, under the names that it keeps for programs which replace malloc.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  peerlane::allocation::count();
  return __libc_malloc(size);
}
void* calloc(std::size_t items, std::size_t size) {
  peerlane::allocation::count();
  return __libc_calloc(items, size);
}
void* realloc(void* memory, std::size_t size) {
  peerlane::allocation::count();
  return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  peerlane::allocation::count();
  return __libc_memalign(alignment, size);
}
}
