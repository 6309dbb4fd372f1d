// Standard input and output as ends of a copy: disks whose blocks come in their order, once.
//
// Many pieces of a copy are under way at the same time; here each waits for its turn. Pieces must be started in order
// and without gaps, so that the one whose turn it is is always among them. A copy that is to end early calls
// interrupt(): all who wait, for their turn or for the other side of a pipe, get ECANCELED.
#pragma once

#include <cstdint>
#include <vector>

#include "block/device.h"
#include "io/event.h"
#include "io/reactor.h"

namespace peerlane::copy {

/// What both directions have in common.
class Stream : public block::Device {
 public:
  block::Geometry geometry() const override;
  block::Capabilities capabilities() const override { return {}; }
  block::Identity identity() const override { return {.spec = "-", .stable = {}}; }
  std::uint32_t memory_alignment() const override { return 1; }
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, block::WriteFlags flags) override;
  io::Task<Result<void>> flush() override;
  io::Task<Result<void>> unmap(std::uint64_t offset, std::uint64_t length) override;
  io::Task<Result<void>> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) override;
  io::Task<Result<std::vector<block::Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                          std::size_t most) override;
  Result<bool> refresh_size() override { return false; }

  /// Ends everything that waits, now and from now on.
  void interrupt();

 protected:
  /// Borrows the descriptor.
  explicit Stream(int fd) : fd_(fd) {}

  /// Waits until all bytes before `offset` have passed; false: interrupted.
  io::Task<bool> turn(std::uint64_t offset);
  void pass(std::uint64_t count);
  /// Awaits a request that interrupt() can end.
  io::Task<int> run(io::Reactor::Call& call);
  /// Waits until a descriptor that does not block has data or room.
  io::Task<void> ready(unsigned events);

  int fd() const { return fd_; }

 private:
  const int fd_;
  std::uint64_t position_ = 0;  // of the byte that is next
  bool interrupted_ = false;
  io::Operation* pending_ = nullptr;
  io::Reactor* reactor_ = nullptr;  // of the pending request
  io::Event moved_;
};

class StreamSource final : public Stream {
 public:
  explicit StreamSource(int fd) : Stream(fd) {}

  /// What lies behind the end reads as zeroes; see end().
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;

  /// How many bytes there were, once a read has met the end; UINT64_MAX before.
  std::uint64_t end() const { return end_; }

 private:
  std::uint64_t end_ = UINT64_MAX;
};

class StreamSink final : public Stream {
 public:
  /// Writes `size` bytes, and what blocks have behind that not.
  StreamSink(int fd, std::uint64_t size) : Stream(fd), size_(size) {}

  /// Zeroes: nothing lies there yet.
  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override;
  io::Task<Result<void>> write(std::uint64_t offset, ByteView from, block::WriteFlags flags) override;

 private:
  const std::uint64_t size_;
};

}  // namespace peerlane::copy
