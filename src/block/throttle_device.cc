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

/// `begin` is called only then: a device may do what needs no waiting as soon as it is asked.
template <typename Begin>
io::Task<Result<void>> run_later(io::Duration delay, Begin begin) {
  co_await io::sleep(io::Reactor::current(), delay);
  auto work = begin();
  auto result = co_await std::move(work);
  co_return result;
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

/// Runs the operation that `begin()` starts, when its time has come.
template <typename Begin>
io::Task<Result<void>> ThrottleDevice::run(std::uint64_t bytes, Begin begin) {
  const auto wait = admit(bytes);
  if (!wait) return io::ready(Result<void>(fail(EAGAIN)));
  return *wait == io::Duration::zero() ? begin() : run_later(*wait, begin);
}

io::Task<Result<void>> ThrottleDevice::read(std::uint64_t offset, ByteSpan into) {
  return run(into.size(), [this, offset, into] { return inner().read(offset, into); });
}

io::Task<Result<void>> ThrottleDevice::write(std::uint64_t offset, ByteView from, WriteFlags flags) {
  return run(from.size(), [this, offset, from, flags] { return inner().write(offset, from, flags); });
}

io::Task<Result<void>> ThrottleDevice::unmap(std::uint64_t offset, std::uint64_t length) {
  return run(0, [this, offset, length] { return inner().unmap(offset, length); });
}

io::Task<Result<void>> ThrottleDevice::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  return run(0, [this, offset, length, may_unmap] { return inner().write_zeroes(offset, length, may_unmap); });
}

Statistics ThrottleDevice::statistics() const {
  Statistics all = inner().statistics();
  all.throttle = {.delayed = delayed_.load(std::memory_order_relaxed),
                  .delayed_usec = delayed_usec_.load(std::memory_order_relaxed),
                  .refused = refused_.load(std::memory_order_relaxed)};
  return all;
}

}  // namespace peerlane::block
