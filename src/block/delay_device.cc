#include "block/delay_device.h"

#include <utility>

#include "block/chance.h"
#include "io/reactor.h"

namespace peerlane::block {

DelayDevice::DelayDevice(std::unique_ptr<Device> inner, const DelayOptions& options)
    : FilterDevice(std::move(inner)), options_(options) {}

io::Task<void> DelayDevice::pause(std::chrono::microseconds delay) {
  if (options_.jitter.count() != 0) {
    const double part = chance(options_.seed, draws_.fetch_add(1, std::memory_order_relaxed));
    delay += std::chrono::microseconds(static_cast<std::int64_t>(part * static_cast<double>(options_.jitter.count())));
  }
  if (delay.count() != 0) co_await io::sleep(io::Reactor::current(), delay);
}

io::Task<Result<void>> DelayDevice::read(std::uint64_t offset, ByteSpan into) {
  co_await pause(options_.read);
  auto result = co_await inner().read(offset, into);
  co_return result;
}

io::Task<Result<void>> DelayDevice::write(std::uint64_t offset, ByteView from, WriteFlags flags) {
  co_await pause(options_.write);
  auto result = co_await inner().write(offset, from, flags);
  co_return result;
}

io::Task<Result<void>> DelayDevice::flush() {
  co_await pause(options_.flush);
  auto result = co_await inner().flush();
  co_return result;
}

io::Task<Result<void>> DelayDevice::unmap(std::uint64_t offset, std::uint64_t length) {
  co_await pause(options_.write);
  auto result = co_await inner().unmap(offset, length);
  co_return result;
}

io::Task<Result<void>> DelayDevice::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  co_await pause(options_.write);
  auto result = co_await inner().write_zeroes(offset, length, may_unmap);
  co_return result;
}

}  // namespace peerlane::block
