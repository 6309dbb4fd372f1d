#include "io/frame_pool.h"

#include <array>
#include <new>

#include "base/sanitizers.h"

namespace peerlane::io {
namespace {

constexpr bool kPooled = !kAddressSanitizer;
constexpr std::size_t kStep = 64;
constexpr std::size_t kLargest = 4096;

struct FreeFrame {
  FreeFrame* next;
};

/// Gives the frames back to the heap when its thread ends.
struct FreeLists {
  std::array<FreeFrame*, kLargest / kStep + 1> heads{};

  ~FreeLists() {
    for (FreeFrame* head : heads) {
      while (head != nullptr) {
        FreeFrame* const next = head->next;
        ::operator delete(head);
        head = next;
      }
    }
  }
};

thread_local FreeLists free_lists;

constexpr std::size_t size_class(std::size_t size) {
  return (size + kStep - 1) / kStep;
}

}  // namespace

void* allocate_frame(std::size_t size) {
  if (!kPooled || size > kLargest) return ::operator new(size);
  FreeFrame*& head = free_lists.heads[size_class(size)];
  if (head == nullptr) return ::operator new(size_class(size) * kStep);
  FreeFrame* const frame = head;
  head = frame->next;
  return frame;
}

void free_frame(void* frame, std::size_t size) noexcept {
  if (!kPooled || size > kLargest) {
    ::operator delete(frame);
    return;
  }
  FreeFrame*& head = free_lists.heads[size_class(size)];
  head = new (frame) FreeFrame{head};
}

}  // namespace peerlane::io
