// What regular files and block devices have in common: a descriptor that is read and written through io_uring, and
// areas that are deallocated and zeroed with fallocate(2), which the kernel has for both.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "block/device.h"

namespace peerlane::block {

/// A descriptor that is closed with its owner.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();
  int get() const { return fd_; }

 private:
  int fd_;
};

class DescriptorDevice : public Device {
 public:
  Geometry geometry() const override;
  Capabilities capabilities() const final { return capabilities_; }
  Identity identity() const final { return identity_; }
  std::uint32_t memory_alignment() const final { return memory_alignment_; }

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, WriteFlags flags) override;
  io::Task<Result<void>> flush() final;
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) final;
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) final;
  Result<bool> refresh_size() final;
  std::optional<Backing> backing() const override;

 protected:
  /// What a kind of descriptor finds out when it is opened.
  struct Traits {
    Geometry geometry;
    Capabilities capabilities;
    Identity identity;
    std::uint32_t memory_alignment = 1;  // more: it is open with O_DIRECT
  };

  DescriptorDevice(Descriptor descriptor, Traits traits);

  int fd() const { return descriptor_.get(); }
  /// The size that the system says it has now, in bytes, as it is.
  virtual Result<std::uint64_t> current_size() const = 0;
  /// What was behind an error (an errno) of a read or a write.
  virtual int cause_of(int code) const { return code; }

 private:
  io::Task<Result<void>> fallocate(int mode, std::uint64_t offset, std::uint64_t length);

  const Descriptor descriptor_;
  const Geometry geometry_;  // but for the size
  const Capabilities capabilities_;
  const Identity identity_;
  const std::uint32_t memory_alignment_;
  std::atomic<std::uint64_t> size_;
};

}  // namespace peerlane::block
