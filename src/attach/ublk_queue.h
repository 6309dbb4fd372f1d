// A queue of a ublk device, served on one reactor: each request of the kernel becomes an operation of a block::Device.
//
// The reactor's ring holds one command for each tag. When it completes, its request is in the descriptor that the
// kernel shares with us, and what is to be written is in the tag's buffer; the next command gives the result and waits
// for the next request. When the device is stopped, every tag's command completes with ENODEV, and the queue has ended.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "attach/ublk_abi.h"
#include "attach/ublk_request.h"
#include "base/bytes.h"
#include "block/device.h"
#include "io/reactor.h"

namespace peerlane::attach {

/// A mapping of memory, unmapped with its owner.
class Mapping {
 public:
  Mapping() = default;
  Mapping(void* start, std::size_t size) : start_(start), size_(size) {}
  Mapping(Mapping&& other) noexcept : start_(std::exchange(other.start_, nullptr)), size_(other.size_) {}
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  Mapping& operator=(Mapping&&) = delete;
  ~Mapping();
  void* start() const { return start_; }

 private:
  void* start_ = nullptr;
  std::size_t size_ = 0;
};

class UblkQueue {
 public:
  /// Maps queue `number` of the device `info`, whose server's end is open as `fd`. Any thread. `ended` is called once,
  /// on the reactor, when the last tag has ended; device and fd stay open until then. Errors: the system's.
  static Result<std::unique_ptr<UblkQueue>> create(const ublk::DeviceInfo& info, std::uint16_t number, int fd,
                                                   block::Device& device, std::function<void()> ended);

  /// Begins to serve, on the reactor of the calling thread, which all further requests come to.
  void serve();

 private:
  struct Slot final : io::Operation {
    UblkQueue* queue = nullptr;
    std::uint16_t tag = 0;
    void complete(int result, unsigned flags) override { queue->completed(*this, result, flags); }
  };

  UblkQueue(const ublk::DeviceInfo& info, std::uint16_t number, int fd, block::Device& device,
            std::function<void()> ended, Mapping descriptors, Mapping buffers);

  void submit(Slot& slot, std::uint32_t operation, std::int32_t result);
  void completed(Slot& slot, int result, unsigned flags);
  io::Task<void> carry_out(Slot& slot);
  io::Task<Result<void>> perform(const UblkRequest& request, ByteSpan buffer);
  ByteSpan buffer_of(const Slot& slot) const;

  const std::uint16_t number_;
  const std::uint32_t io_bytes_;
  const int fd_;
  block::Device& device_;
  const block::Capabilities capabilities_;
  const std::function<void()> ended_;
  const Mapping descriptors_mapping_;
  const Mapping buffers_mapping_;
  const std::span<const ublk::RequestDescriptor> descriptors_;
  const std::unique_ptr<Slot[]> slots_;
  io::Reactor* reactor_ = nullptr;
  unsigned alive_ = 0;  // slots that the kernel or an operation has
};

}  // namespace peerlane::attach
