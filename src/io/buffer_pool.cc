#include "io/buffer_pool.h"

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <new>

#include <sys/mman.h>

#include "base/limits.h"
#include "base/sanitizers.h"

namespace peerlane::io {
namespace {

constexpr std::size_t kSlabBytes = limits::kMaxBufferBytes;
// Memory comes in these. Disks take so many pieces of memory in one request, often 128: a buffer of 1 MiB in small
// pages may be 256, and then the kernel cuts it in two, which it does not do without a thread of its own.
constexpr std::size_t kHugePageBytes = 2u << 20;
constexpr std::array<std::size_t, 5> kClassBytes{4u << 10, 16u << 10, 64u << 10, 256u << 10, kSlabBytes};

std::size_t class_for(std::size_t size) {
  std::size_t index = 0;
  while (kClassBytes[index] < size) ++index;
  return index;
}

/// Addresses that have no memory yet, and take none. They begin at a huge page.
ByteSpan reserve_memory(std::size_t size) {
  void* const memory =
      mmap(nullptr, size + kHugePageBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return {};
  auto* const all = static_cast<std::uint8_t*>(memory);
  const std::size_t before = (kHugePageBytes - reinterpret_cast<std::uintptr_t>(all) % kHugePageBytes) % kHugePageBytes;
  std::uint8_t* const begin = all + before;
  if (before != 0) munmap(all, before);
  munmap(begin + size, kHugePageBytes - before);
  madvise(begin, size, MADV_HUGEPAGE);  // where the system has none, small ones do
  return {begin, size};
}

/// Makes memory of the huge pages in which `length` bytes from `begin` on lie.
bool provide_memory(ByteSpan memory, std::size_t begin, std::size_t length) {
  const std::size_t end = (begin + length + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  const ByteSpan pages = memory.subspan(begin, std::min(end, memory.size()) - begin);
  return mprotect(pages.data(), pages.size(), PROT_READ | PROT_WRITE) == 0;
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
    : executor_(executor),
      most_bytes_(most_bytes),
      set_aside_(most_bytes / limits::kPoolAsidePart),
      memory_(reserve_memory(most_bytes)),
      region_(memory_.first(memory_.empty() ? 0 : registered_bytes)) {
  static_assert(kClassBytes.size() == kClasses);
  assert(registered_bytes % kSlabBytes == 0 && registered_bytes <= most_bytes);
  slabs_.reserve(memory_.size() / kSlabBytes);
  if (!region_.empty() && !provide_memory(memory_, 0, region_.size())) region_ = {};
}

BufferPool::~BufferPool() {
  assert(bytes_out_ == 0);
  if (memory_.empty()) return;
  mark_used(memory_.data(), slabs_.size() * kSlabBytes);
  munmap(memory_.data(), memory_.size());
}

std::optional<Buffer> BufferPool::allocate(std::size_t size) {
  assert(size >= 1 && size <= kSlabBytes);
  const std::size_t size_class = class_for(size);
  if (free_[size_class] == nullptr && !add_slab(size_class) && !take_over_slab(size_class)) return std::nullopt;
  FreeBuffer* const buffer = free_[size_class];
  mark_used(buffer, kClassBytes[size_class]);
  free_[size_class] = buffer->next;
  bytes_out_ += kClassBytes[size_class];
  ++slabs_[slab_of(buffer)].out;
  return Buffer(this, reinterpret_cast<std::uint8_t*>(buffer), size, size_class);
}

std::optional<Buffer> BufferPool::set_aside(std::size_t size) {
  const std::size_t bytes = kClassBytes[class_for(size)];
  if (!set_aside_.has_room(bytes)) return std::nullopt;
  std::optional<Buffer> buffer = allocate(size);
  if (buffer) {
    set_aside_.bytes_out_ += bytes;
    buffer->share_ = &set_aside_;
  }
  return buffer;
}

bool BufferPool::may_have(const BufferShare& share, std::size_t bytes) const {
  if (!share.has_room(bytes)) return false;
  const std::size_t shared = bytes_out_ - set_aside_.bytes_out_;
  return shared + bytes <= most_bytes_ / limits::kPoolSharesPart || share.bytes_out_ + bytes <= kSlabBytes;
}

bool BufferPool::try_serve(Waiter& waiter) {
  const std::size_t bytes = kClassBytes[class_for(waiter.size)];
  if (!may_have(waiter.share, bytes)) return false;
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
  --slabs_[slab_of(data)].out;
  if (share != nullptr) share->bytes_out_ -= kClassBytes[size_class];
  if (first_waiter_ != nullptr) executor_.defer(*this);
  free_[size_class] = new (data) FreeBuffer{free_[size_class]};
  mark_unused(data, kClassBytes[size_class]);
}

std::size_t BufferPool::slab_of(const void* buffer) const {
  return static_cast<std::size_t>(static_cast<const std::uint8_t*>(buffer) - memory_.data()) / kSlabBytes;
}

/// One more slab, for buffers of one class.
bool BufferPool::add_slab(std::size_t size_class) {
  const std::size_t begin = slabs_.size() * kSlabBytes;
  if (begin + kSlabBytes > memory_.size()) return false;
  const bool new_page = begin >= region_.size() && begin % kHugePageBytes == 0;
  if (new_page && !provide_memory(memory_, begin, kSlabBytes)) return false;
  slabs_.emplace_back();
  cut(slabs_.size() - 1, size_class);
  return true;
}

/// All slabs are in use, but one of another class may have no buffer out: it changes its class.
bool BufferPool::take_over_slab(std::size_t size_class) {
  std::size_t slab = 0;
  while (slab < slabs_.size() && slabs_[slab].out != 0) ++slab;
  if (slab == slabs_.size()) return false;
  FreeBuffer** link = &free_[slabs_[slab].size_class];
  while (FreeBuffer* const buffer = *link) {
    mark_used(buffer, sizeof *buffer);
    FreeBuffer** const next = &buffer->next;
    if (slab_of(buffer) == slab) {
      *link = *next;
    } else {
      link = next;
    }
  }
  cut(slab, size_class);
  return true;
}

void BufferPool::cut(std::size_t slab, std::size_t size_class) {
  slabs_[slab].size_class = size_class;
  const ByteSpan memory = memory_.subspan(slab * kSlabBytes, kSlabBytes);
  mark_used(memory.data(), memory.size());
  const std::size_t step = kClassBytes[size_class];
  for (std::size_t end = kSlabBytes; end >= step; end -= step) {
    std::uint8_t* const data = memory.data() + (end - step);
    free_[size_class] = new (data) FreeBuffer{free_[size_class]};
    mark_unused(data, step);
  }
}

}  // namespace peerlane::io
