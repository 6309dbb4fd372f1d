// Data buffers of one reactor: page-aligned, of a few fixed sizes, taken and returned without a heap allocation.
//
// A pool and its buffers belong to one reactor; nothing here is thread-safe. A buffer must be returned before its pool
// goes. A BufferShare bounds what one user of the pool (a session) may hold, so that none can starve the others.
#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "io/executor.h"

namespace peerlane::io {

class BufferPool;

/// What one user of a pool may hold. Must outlive the buffers that were taken on it.
class BufferShare {
 public:
  explicit BufferShare(std::size_t most_bytes) : most_bytes_(most_bytes) {}
  BufferShare(const BufferShare&) = delete;
  BufferShare& operator=(const BufferShare&) = delete;

  std::size_t bytes_out() const { return bytes_out_; }
  bool has_room(std::size_t bytes) const { return bytes_out_ + bytes <= most_bytes_; }

 private:
  friend class Buffer;
  friend class BufferPool;
  std::size_t most_bytes_;
  std::size_t bytes_out_ = 0;
  unsigned waiting_ = 0;  // for their turn
};

/// A data buffer, returned to its pool when it goes out of scope. Movable, not copyable; an empty one has size 0.
class Buffer {
 public:
  Buffer() = default;
  Buffer(Buffer&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)),
        share_(std::exchange(other.share_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        size_class_(other.size_class_) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(share_, other.share_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(size_class_, other.size_class_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { release(); }

  /// The bytes asked for, page-aligned. Their content is whatever was there before: fill or overwrite all of it.
  ByteSpan bytes() const { return {data_, size_}; }
  std::size_t size() const { return size_; }
  explicit operator bool() const { return data_ != nullptr; }

  /// Returns the memory now.
  void release();

 private:
  friend class BufferPool;
  Buffer(BufferPool* pool, std::uint8_t* data, std::size_t size, std::size_t size_class)
      : pool_(pool), data_(data), size_(size), size_class_(size_class) {}

  BufferPool* pool_ = nullptr;
  BufferShare* share_ = nullptr;
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t size_class_ = 0;
};

class BufferPool final : private Deferred {
 public:
  /// A pool that grows on demand, in slabs of limits::kMaxBufferBytes, to at most `most_bytes`. The first
  /// `registered_bytes` of it are one region that the reactor may register with io_uring (see region()). Those who wait
  /// for a buffer are resumed through `executor`.
  ///
  /// Those who keep much and give nothing back do not stop everybody else: shares have half of the pool at most while
  /// they hold more than limits::kMaxBufferBytes each, and set-aside buffers a quarter.
  BufferPool(Executor& executor, std::size_t most_bytes, std::size_t registered_bytes);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool() override;

  /// A buffer of `size` bytes (1 to limits::kMaxBufferBytes), or nothing when the pool's limit is reached.
  std::optional<Buffer> allocate(std::size_t size);

  /// A buffer of `size` bytes on `share`, awaited; waits its turn while the share or the pool is used up. The share
  /// must have been made for at least limits::kMaxBufferBytes.
  auto allocate(BufferShare& share, std::size_t size) { return Waiter{*this, share, size, {}, {}, nullptr}; }

  /// The same at once; nothing if that would have to wait.
  std::optional<Buffer> try_allocate(BufferShare& share, std::size_t size) {
    Waiter waiter = allocate(share, size);
    if (!waiter.await_ready()) return std::nullopt;
    return std::move(waiter.buffer);
  }

  /// A buffer of `size` bytes on nobody's share, for what nobody has asked for yet. Nothing when these have their
  /// quarter.
  std::optional<Buffer> set_aside(std::size_t size);

  /// The region to register; the buffers in it come first.
  ByteSpan region() const { return region_; }

  /// Bytes in buffers that are out now, by the sizes they occupy.
  std::size_t bytes_out() const { return bytes_out_; }

 private:
  friend class Buffer;
  static constexpr std::size_t kClasses = 5;  // 4 KiB, 16 KiB, 64 KiB, 256 KiB, 1 MiB

  struct FreeBuffer {
    FreeBuffer* next;
  };
  struct Waiter {
    BufferPool& pool;
    BufferShare& share;
    std::size_t size;
    Buffer buffer;
    std::coroutine_handle<> handle;
    Waiter* next;

    // Nobody overtakes those who wait for the same thing: their share, or the pool.
    bool await_ready() { return share.waiting_ == 0 && !pool.exhausted_ && pool.try_serve(*this); }
    void await_suspend(std::coroutine_handle<> waiting);
    Buffer await_resume() { return std::move(buffer); }
  };

  /// Buffers of one size, as many as limits::kMaxBufferBytes hold.
  struct Slab {
    std::size_t size_class = 0;
    std::size_t out = 0;  // of its buffers
  };

  bool may_have(const BufferShare& share, std::size_t bytes) const;
  bool try_serve(Waiter& waiter);
  void run_deferred() override;
  void put_back(std::uint8_t* data, std::size_t size_class, BufferShare* share);
  bool add_slab(std::size_t size_class);
  bool take_over_slab(std::size_t size_class);
  void cut(std::size_t slab, std::size_t size_class);
  std::size_t slab_of(const void* buffer) const;

  Executor& executor_;
  Waiter* first_waiter_ = nullptr;
  bool exhausted_ = false;  // somebody waits although his share has room
  std::size_t most_bytes_;
  std::size_t bytes_out_ = 0;
  BufferShare set_aside_;
  ByteSpan memory_;  // addresses for all slabs there may be; behind those in use there is nothing yet
  ByteSpan region_;
  std::array<FreeBuffer*, kClasses> free_{};
  std::vector<Slab> slabs_;  // in use, from the front of memory_ on
};

}  // namespace peerlane::io
