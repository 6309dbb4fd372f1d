#include "io/buffer_pool.h"

#include <cassert>
#include <new>

#include <sys/mman.h>

#include "base/limits.h"
#include "base/sanitizers.h"

namespace peerlane::io {
namespace {

constexpr std::size_t kSlabBytes = limits::kMaxBufferBytes;
constexpr std::array<std::size_t, 5> kClassBytes{4u << 10, 16u << 10, 64u << 10, 256u << 10, kSlabBytes};

std::size_t class_for(std::size_t size) {
  std::size_t index = 0;
  while (kClassBytes[index] < size) ++index;
  return index;
}

ByteSpan map_memory(std::size_t size) {
  void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return {};
  return {static_cast<std::uint8_t*>(memory), size};
}

void unmap_memory(ByteSpan memory) {
  mark_used(memory.data(), memory.size());
  munmap(memory.data(), memory.size());
}

}  // namespace

void Buffer::release() {
  if (pool_ == nullptr) return;
  pool_->put_back(data_, size_class_, share_);
  share_ = nullptr;
  pool_ = nullptr;
  data_ = nullptr;
  size_ = 0;
}

BufferPool::BufferPool(Executor& executor, std::size_t most_bytes, std::size_t registered_bytes)
    : executor_(executor), most_bytes_(most_bytes) {
  static_assert(kClassBytes.size() == kClasses);
  assert(registered_bytes % kSlabBytes == 0 && registered_bytes <= most_bytes);
  if (registered_bytes != 0) region_ = map_memory(registered_bytes);
}

BufferPool::~BufferPool() {
  assert(bytes_out_ == 0);
  if (!region_.empty()) unmap_memory(region_);
  for (const ByteSpan slab : slabs_) unmap_memory(slab);
}

std::optional<Buffer> BufferPool::allocate(std::size_t size) {
  assert(size >= 1 && size <= kSlabBytes);
  const std::size_t size_class = class_for(size);
  if (free_[size_class] == nullptr && !add_slab(size_class)) return std::nullopt;
  FreeBuffer* const buffer = free_[size_class];
  mark_used(buffer, kClassBytes[size_class]);
  free_[size_class] = buffer->next;
  bytes_out_ += kClassBytes[size_class];
  return Buffer(this, reinterpret_cast<std::uint8_t*>(buffer), size, size_class);
}

bool BufferPool::try_serve(Waiter& waiter) {
  const std::size_t bytes = kClassBytes[class_for(waiter.size)];
  if (!waiter.share.has_room(bytes)) return false;
  auto buffer = allocate(waiter.size);
  if (!buffer) {
    exhausted_ = true;
    return false;
  }
  waiter.share.bytes_out_ += bytes;
  buffer->share_ = &waiter.share;
  waiter.buffer = std::move(*buffer);
  return true;
}

void BufferPool::Waiter::await_suspend(std::coroutine_handle<> waiting) {
  handle = waiting;
  ++share.waiting_;
  Waiter** end = &pool.first_waiter_;
  while (*end != nullptr) end = &(*end)->next;
  *end = this;
  // The queue may hold only those whose share is used up, and no buffer may ever come back on ours.
  pool.executor_.defer(pool);
}

/// Serves those who wait, in order; one whose share is used up does not hold up the others. Whoever is resumed may give
/// back or take buffers, and so change the queue: look from the start again.
void BufferPool::run_deferred() {
  exhausted_ = false;
  Waiter** at = &first_waiter_;
  while (*at != nullptr && !exhausted_) {
    Waiter& waiter = **at;
    if (!try_serve(waiter)) {
      at = &waiter.next;
      continue;
    }
    *at = waiter.next;
    --waiter.share.waiting_;
    waiter.handle.resume();
    at = &first_waiter_;
  }
}

void BufferPool::put_back(std::uint8_t* data, std::size_t size_class, BufferShare* share) {
  bytes_out_ -= kClassBytes[size_class];
  if (share != nullptr) share->bytes_out_ -= kClassBytes[size_class];
  if (first_waiter_ != nullptr) executor_.defer(*this);
  free_[size_class] = new (data) FreeBuffer{free_[size_class]};
  mark_unused(data, kClassBytes[size_class]);
}

/// Cuts one more slab into buffers of one class. A slab stays with its class.
bool BufferPool::add_slab(std::size_t size_class) {
  ByteSpan slab;
  if (region_used_ < region_.size()) {
    slab = region_.subspan(region_used_, kSlabBytes);
    region_used_ += kSlabBytes;
  } else if (mapped_bytes_ + region_.size() + kSlabBytes <= most_bytes_) {
    slab = map_memory(kSlabBytes);
    if (slab.empty()) return false;
    mapped_bytes_ += kSlabBytes;
    slabs_.push_back(slab);
  } else {
    return false;
  }
  const std::size_t step = kClassBytes[size_class];
  for (std::size_t end = kSlabBytes; end >= step; end -= step) {
    std::uint8_t* const data = slab.data() + (end - step);
    free_[size_class] = new (data) FreeBuffer{free_[size_class]};
    mark_unused(data, step);
  }
  return true;
}

}  // namespace peerlane::io
