#include "io/receive_buffers.h"

#include <sys/mman.h>

#include "base/limits.h"
#include "base/sanitizers.h"

namespace peerlane::io {
namespace {

constexpr std::size_t kEntriesBytes = limits::kReceiveBuffers * sizeof(io_uring_buf);
constexpr std::size_t kMemoryBytes = limits::kReceiveBuffers * limits::kReceiveBufferBytes;
static_assert((limits::kReceiveBuffers & (limits::kReceiveBuffers - 1)) == 0, "io_uring wants a power of two");

void* map_pages(std::size_t size) {
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

std::unique_ptr<ReceiveBuffers> ReceiveBuffers::create(io_uring& ring) {
  void* const entries = map_pages(kEntriesBytes);
  void* const memory = map_pages(kMemoryBytes);
  if (entries == nullptr || memory == nullptr) return nullptr;
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(entries);
  registration.ring_entries = limits::kReceiveBuffers;
  registration.bgid = kGroup;
  if (io_uring_register_buf_ring(&ring, &registration, 0) != 0) {
    munmap(entries, kEntriesBytes);
    munmap(memory, kMemoryBytes);
    return nullptr;
  }
  return std::unique_ptr<ReceiveBuffers>(new ReceiveBuffers(ring, static_cast<io_uring_buf_ring*>(entries),
                                                            {static_cast<std::uint8_t*>(memory), kMemoryBytes}));
}

ReceiveBuffers::ReceiveBuffers(io_uring& ring, io_uring_buf_ring* entries, ByteSpan memory)
    : ring_(ring), entries_(entries), memory_(memory) {
  io_uring_buf_ring_init(entries_);
  for (unsigned id = 0; id < limits::kReceiveBuffers; ++id) put_back(static_cast<std::uint16_t>(id));
}

ReceiveBuffers::~ReceiveBuffers() {
  io_uring_unregister_buf_ring(&ring_, kGroup);
  munmap(entries_, kEntriesBytes);
  munmap(memory_.data(), memory_.size());
}

ByteSpan ReceiveBuffers::at(std::uint16_t id) const {
  return memory_.subspan(id * limits::kReceiveBufferBytes, limits::kReceiveBufferBytes);
}

void ReceiveBuffers::put_back(std::uint16_t id) {
  const ByteSpan buffer = at(id);
  io_uring_buf_ring_add(entries_, buffer.data(), static_cast<unsigned>(buffer.size()), id,
                        io_uring_buf_ring_mask(limits::kReceiveBuffers), 0);
  io_uring_buf_ring_advance(entries_, 1);
}

}  // namespace peerlane::io
