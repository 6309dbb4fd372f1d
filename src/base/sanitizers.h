// Telling sanitizers what they cannot see: AddressSanitizer which pooled memory is in use, so that it sees use after
// return to a pool as it sees use after free; ThreadSanitizer an order that something outside of the program keeps.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define PEERLANE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PEERLANE_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__)
#define PEERLANE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PEERLANE_TSAN 1
#endif
#endif

#if defined(PEERLANE_TSAN)
extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

#if defined(PEERLANE_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace peerlane {

#if defined(PEERLANE_ASAN)
inline constexpr bool kAddressSanitizer = true;
inline void mark_unused(const void* memory, std::size_t size) {
  __asan_poison_memory_region(memory, size);
}
inline void mark_used(const void* memory, std::size_t size) {
  __asan_unpoison_memory_region(memory, size);
}
#else
inline constexpr bool kAddressSanitizer = false;
inline void mark_unused(const void*, std::size_t) {}
inline void mark_used(const void*, std::size_t) {}
#endif

/// What threads did until they said now_before() with this address came before what the caller of now_after() does from
/// then on.
#if defined(PEERLANE_TSAN)
inline void now_after(void* what) {
  __tsan_acquire(what);
}
inline void now_before(void* what) {
  __tsan_release(what);
}
#else
inline void now_after(void*) {}
inline void now_before(void*) {}
#endif

/// While it lives, its thread uses memory that others use as well, in an order that a peer over the network takes care
/// of (a read is sent after the write was answered): ThreadSanitizer cannot see that. `what` stands for the memory.
class OrderedByPeers {
 public:
  explicit OrderedByPeers(void* what) : what_(what) { now_after(what_); }
  ~OrderedByPeers() { now_before(what_); }
  OrderedByPeers(const OrderedByPeers&) = delete;
  OrderedByPeers& operator=(const OrderedByPeers&) = delete;

 private:
  void* const what_;
};

}  // namespace peerlane
