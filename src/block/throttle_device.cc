#include "block/throttle_device.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "io/reactor.h"

namespace peerlane::block {
namespace {

constexpr std::uint64_t kDefaultBurst = 10;  // one part of so many of a second's

std::optional<TokenBucket> bucket(std::uint64_t rate, std::uint64_t burst) {
  if (rate == 0) return std::nullopt;
  return TokenBucket(rate, burst != 0 ? burst : rate / kDefaultBurst);
}

}  // namespace

ThrottleDevice::ThrottleDevice(std::unique_ptr<Device> inner, const ThrottleOptions& options)
    : FilterDevice(std::move(inner)),
      ios_(bucket(options.iops, options.iops_burst)),
      bytes_(bucket(options.bandwidth, options.bandwidth_burst)) {}

std::optional<io::Duration> ThrottleDevice::admit(std::uint64_t bytes) {
  const io::TimePoint now = io::Reactor::current().now();
  io::Duration wait = io::Duration::zero();
  {
    const std::lock_guard lock(mutex_);
    if (ios_) wait = ios_->wait(1, now);
    if (bytes_) wait = std::max(wait, bytes_->wait(bytes, now));
    if (wait <= limits::kThrottleWait) {
      if (ios_) ios_->take(1, now);
      if (bytes_) bytes_->take(bytes, now);
    }
  }
  if (wait > limits::kThrottleWait) {
    refused_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  if (wait != io::Duration::zero()) {
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(wait).count();
    delayed_.fetch_add(1, std::memory_order_relaxed);
    delayed_usec_.fetch_add(static_cast<std::uint64_t>(microseconds), std::memory_order_relaxed);
  }
  return wait;
}

io::Task<Result<void>> ThrottleDevice::refused() {
  co_return fail(EAGAIN);
}

io::Task<Result<void>> ThrottleDevice::read(std::uint64_t offset, ByteSpan into) {
  const auto wait = admit(into.size());
  if (!wait) return refused();
  if (*wait == io::Duration::zero()) return inner().read(offset, into);
  return read_later(*wait, offset, into);
}

io::Task<Result<void>> ThrottleDevice::write(std::uint64_t offset, ByteView from, WriteFlags flags) {
  const auto wait = admit(from.size());
  if (!wait) return refused();
  if (*wait == io::Duration::zero()) return inner().write(offset, from, flags);
  return write_later(*wait, offset, from, flags);
}

io::Task<Result<void>> ThrottleDevice::unmap(std::uint64_t offset, std::uint64_t length) {
  const auto wait = admit(0);
  if (!wait) return refused();
  auto work = inner().unmap(offset, length);
  return run_later(*wait, std::move(work));
}

io::Task<Result<void>> ThrottleDevice::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  const auto wait = admit(0);
  if (!wait) return refused();
  auto work = inner().write_zeroes(offset, length, may_unmap);
  return run_later(*wait, std::move(work));
}

io::Task<Result<void>> ThrottleDevice::read_later(io::Duration delay, std::uint64_t offset, ByteSpan into) {
  co_await io::sleep(io::Reactor::current(), delay);
  // Asked for only now: a device may do what needs no waiting as soon as it is asked.
  auto result = co_await inner().read(offset, into);
  co_return result;
}

io::Task<Result<void>> ThrottleDevice::write_later(io::Duration delay, std::uint64_t offset, ByteView from,
                                                   WriteFlags flags) {
  co_await io::sleep(io::Reactor::current(), delay);
  auto result = co_await inner().write(offset, from, flags);
  co_return result;
}

io::Task<Result<void>> ThrottleDevice::run_later(io::Duration delay, io::Task<Result<void>> work) {
  if (delay != io::Duration::zero()) co_await io::sleep(io::Reactor::current(), delay);
  auto result = co_await std::move(work);
  co_return result;
}

Statistics ThrottleDevice::statistics() const {
  Statistics all = inner().statistics();
  all.throttle = {.delayed = delayed_.load(std::memory_order_relaxed),
                  .delayed_usec = delayed_usec_.load(std::memory_order_relaxed),
                  .refused = refused_.load(std::memory_order_relaxed)};
  return all;
}

}  // namespace peerlane::block
