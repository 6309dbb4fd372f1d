#include "block/blocking_device.h"

#include <utility>

#include <fmt/format.h>

namespace peerlane::block {
namespace {

/// Something that one thread waits for and another one says. May be gone as soon as wait() has returned, which a
/// std::binary_semaphore may not: whoever releases it may still be about to wake somebody.
class Signal {
 public:
  void set() {
    const std::scoped_lock lock(mutex_);
    set_ = true;
    changed_.notify_one();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

/// A call, on the stack of the thread that waits for it.
template <typename T, typename Make>
struct Call {
  Make& make;
  Result<T> result{};
  Signal over{};
};

template <typename T, typename Make>
io::Task<void> run_and_tell(Call<T, Make>& call) {
  auto task = call.make();
  auto result = co_await std::move(task);
  call.result = std::move(result);
  call.over.set();
}

Error closed_error() {
  return {EBADF, "the disk is closed"};
}

}  // namespace

/// What the thread that opens and the new one share, on the stack of the former until `ready`.
struct BlockingDevice::Opening {
  const Open& open;
  Result<void> result{};
  Signal ready{};

  static io::Task<void> run(Opening& opening, io::Reactor& reactor, std::unique_ptr<Device>& device) {
    auto task = opening.open(reactor);
    auto result = co_await std::move(task);
    if (result) {
      device = std::move(*result);
    } else {
      opening.result = std::unexpected(std::move(result.error()));
      reactor.stop();
    }
    opening.ready.set();
  }
};

/// A call that is under way: close() waits for it. No pass is given once the disk is closed.
class BlockingDevice::Pass {
 public:
  explicit Pass(BlockingDevice& disk) : disk_(disk) {
    const std::scoped_lock lock(disk_.mutex_);
    given_ = !disk_.closed_;
    if (given_) ++disk_.inside_;
  }
  ~Pass() {
    if (!given_) return;
    const std::scoped_lock lock(disk_.mutex_);
    if (--disk_.inside_ == 0) disk_.idle_.notify_all();
  }
  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

  bool given() const { return given_; }

 private:
  BlockingDevice& disk_;
  bool given_ = false;
};

Result<std::unique_ptr<BlockingDevice>> BlockingDevice::open(Open open) {
  std::unique_ptr<BlockingDevice> blocking(new BlockingDevice());
  Opening opening{open};
  blocking->thread_ = std::jthread([&opening, self = blocking.get()] { self->run(opening); });
  opening.ready.wait();
  if (!opening.result) return std::unexpected(std::move(opening.result.error()));
  return blocking;
}

/// The thread: a reactor with the device on it, until close() stops it or there is no device.
void BlockingDevice::run(Opening& opening) {
  auto reactor = io::Reactor::create();
  if (!reactor) {
    opening.result = std::unexpected(std::move(reactor.error()));
    opening.ready.set();
    return;
  }
  reactor_ = reactor->get();
  io::spawn(Opening::run(opening, **reactor, device_));
  (*reactor)->run();
}

BlockingDevice::~BlockingDevice() {
  if (device_ != nullptr && thread_.joinable()) static_cast<void>(close());
}

template <typename T, typename Make>
Result<T> BlockingDevice::carry_out(Make& make) {
  Call<T, Make> call{make};
  reactor_->post([&call] { io::spawn(run_and_tell(call)); });
  call.over.wait();
  return std::move(call.result);
}

template <typename T, typename Make>
Result<T> BlockingDevice::call(Make make) {
  const Pass pass(*this);
  if (!pass.given()) return std::unexpected(closed_error());
  return carry_out<T>(make);
}

Result<void> BlockingDevice::check(std::uint64_t offset, std::uint64_t length, const void* buffer) const {
  const Geometry shape = device_->geometry();
  if (offset % shape.logical_block_size != 0 || length % shape.logical_block_size != 0) {
    return fail(EINVAL, fmt::format("offset {} and length {} are to be multiples of the logical block size, {}", offset,
                                    length, shape.logical_block_size));
  }
  if (offset > shape.size || length > shape.size - offset) {
    return fail(EINVAL,
                fmt::format("{} bytes at offset {} are not all on the disk, which has {}", length, offset, shape.size));
  }
  if (reinterpret_cast<std::uintptr_t>(buffer) % device_->memory_alignment() != 0) {
    return fail(EINVAL,
                fmt::format("buffers for this disk are to be aligned to {} bytes", device_->memory_alignment()));
  }
  return {};
}

Result<void> BlockingDevice::check_change(std::uint64_t offset, std::uint64_t length, const void* buffer) const {
  if (device_->capabilities().read_only) return fail(EROFS, "the disk is read-only");
  return check(offset, length, buffer);
}

Result<void> BlockingDevice::read(std::uint64_t offset, ByteSpan into) {
  if (auto checked = check(offset, into.size(), into.data()); !checked) return checked;
  return call<void>([&] { return device_->read(offset, into); });
}

Result<void> BlockingDevice::write(std::uint64_t offset, ByteView from, WriteFlags flags) {
  if (auto checked = check_change(offset, from.size(), from.data()); !checked) return checked;
  return call<void>([&] { return device_->write(offset, from, flags); });
}

Result<void> BlockingDevice::flush() {
  return call<void>([&] { return device_->flush(); });
}

Result<void> BlockingDevice::unmap(std::uint64_t offset, std::uint64_t length) {
  if (auto checked = check_change(offset, length, nullptr); !checked) return checked;
  return call<void>([&] { return device_->unmap(offset, length); });
}

Result<void> BlockingDevice::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  if (auto checked = check_change(offset, length, nullptr); !checked) return checked;
  return call<void>([&] { return device_->write_zeroes(offset, length, may_unmap); });
}

Result<std::vector<Extent>> BlockingDevice::allocation(std::uint64_t offset, std::uint64_t length, std::size_t most) {
  if (auto checked = check(offset, length, nullptr); !checked) return std::unexpected(std::move(checked.error()));
  return call<std::vector<Extent>>([&] { return device_->allocation(offset, length, most); });
}

Result<bool> BlockingDevice::refresh_size() {
  return call<bool>([&] { return io::ready(device_->refresh_size()); });
}

Result<void> BlockingDevice::close() {
  {
    std::unique_lock lock(mutex_);
    if (closed_) return std::unexpected(closed_error());
    closed_ = true;
    idle_.wait(lock, [this] { return inside_ == 0; });
  }
  auto make = [this] { return device_->close(); };
  auto closed = carry_out<void>(make);
  reactor_->stop();
  thread_.join();
  return closed;
}

}  // namespace peerlane::block
