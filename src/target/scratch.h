// Memory that a command has to itself for the time of its work, aligned as disks ask for it: for what a data buffer of
// the session's share cannot be used for, since a task that held one while it waits for another could wait for ever.
// Only for commands that are rare.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "base/bytes.h"

namespace peerlane::target {

class Scratch {
 public:
  /// `size` bytes, all zero.
  explicit Scratch(std::size_t size)
      : size_(size), memory_(new(std::align_val_t{kAlignment}) std::uint8_t[size](), Free{}) {}

  ByteSpan bytes() const { return {memory_.get(), size_}; }

 private:
  static constexpr std::size_t kAlignment = 4096;
  struct Free {
    void operator()(std::uint8_t* memory) const { operator delete[](memory, std::align_val_t{kAlignment}); }
  };

  std::size_t size_;
  std::unique_ptr<std::uint8_t[], Free> memory_;
};

}  // namespace peerlane::target
