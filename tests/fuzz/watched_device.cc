#include "watched_device.h"

#include <optional>
#include <utility>

#include "target/testing/run.h"

namespace peerlane::fuzz {
namespace {

std::vector<std::uint8_t> canary() {
  std::vector<std::uint8_t> bytes(WatchedDevice::kFilledBytes);
  std::uint32_t state = 1;
  for (std::uint8_t& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return bytes;
}

}  // namespace

WatchedDevice::WatchedDevice(std::uint32_t block_size, const block::Capabilities& less, Turnstile& turnstile)
    : ram_(std::move(*block::RamDevice::create(kBytes, block_size, false, "ram:256K"))), turnstile_(turnstile) {
  static const std::vector<std::uint8_t> kCanary = canary();
  claims = ram_->capabilities();
  claims.unmap = claims.unmap && less.unmap;
  claims.write_zeroes = claims.write_zeroes && less.write_zeroes;
  claims.allocation = claims.allocation && less.allocation;
  claims.read_only = less.read_only;
  claims.volatile_cache = less.volatile_cache;
  claims.fua = less.fua;
  require(target::testing::run(ram_->write(0, kCanary, block::WriteFlags::kNone)).has_value(), "the disk is filled");
}

void WatchedDevice::forbid(const NamedRange& range) {
  const auto at = std::ranges::find_if(allowed_, [&](const NamedRange& other) {
    return other.begin == range.begin && other.end == range.end && other.writable == range.writable;
  });
  require(at != allowed_.end(), "a command ends once");
  allowed_.erase(at);
}

std::vector<std::uint8_t> WatchedDevice::content(std::uint64_t offset, std::uint64_t length) {
  // The disk gives whole blocks.
  const std::uint64_t block = geometry().logical_block_size;
  std::vector<std::uint8_t> bytes((length + block - 1) / block * block);
  require(target::testing::run(ram_->read(offset, bytes)).has_value(), "the disk can be read");
  bytes.resize(length);
  return bytes;
}

void WatchedDevice::check(std::uint64_t offset, std::uint64_t length, bool writes) {
  const std::uint32_t block = geometry().logical_block_size;
  require(length != 0 && offset % block == 0 && length % block == 0, "the disk is asked for whole blocks");
  require(offset <= kBytes && length <= kBytes - offset, "the disk is asked for blocks that it has");
  require(!writes || !claims.read_only, "nothing is written to a disk that cannot be");
  require(std::ranges::any_of(
              allowed_,
              [&](const NamedRange& range) { return range.covers(offset, length) && (range.writable || !writes); }),
          "no command touches blocks that it does not name");
  if (writes) ++changes;
}

Result<void> WatchedDevice::outcome() {
  if (error == 0) return {};
  has_failed = true;
  return fail(error);
}

io::Task<Result<void>> WatchedDevice::read(std::uint64_t offset, ByteSpan into) {
  check(offset, into.size(), false);
  co_await turnstile_.pass(this);
  auto failed = outcome();
  if (!failed) co_return failed;
  auto result = co_await ram_->read(offset, into);
  co_return result;
}

io::Task<Result<void>> WatchedDevice::write(std::uint64_t offset, ByteView from, block::WriteFlags flags) {
  check(offset, from.size(), true);
  co_await turnstile_.pass(this);
  auto failed = outcome();
  if (!failed) co_return failed;
  auto result = co_await ram_->write(offset, from, flags);
  co_return result;
}

io::Task<Result<void>> WatchedDevice::flush() {
  co_await turnstile_.pass(this);
  co_return outcome();
}

io::Task<Result<void>> WatchedDevice::unmap(std::uint64_t offset, std::uint64_t length) {
  require(claims.unmap, "a disk is asked for what it can do");
  check(offset, length, true);
  co_await turnstile_.pass(this);
  auto failed = outcome();
  if (!failed) co_return failed;
  auto result = co_await ram_->unmap(offset, length);
  co_return result;
}

io::Task<Result<void>> WatchedDevice::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  require(claims.write_zeroes, "a disk is asked for what it can do");
  check(offset, length, true);
  co_await turnstile_.pass(this);
  auto failed = outcome();
  if (!failed) co_return failed;
  auto result = co_await ram_->write_zeroes(offset, length, may_unmap);
  co_return result;
}

io::Task<Result<std::vector<block::Extent>>> WatchedDevice::allocation(std::uint64_t offset, std::uint64_t length,
                                                                       std::size_t most) {
  require(claims.allocation, "a disk is asked for what it can do");
  require(offset <= kBytes && length <= kBytes - offset, "the disk is asked for blocks that it has");
  co_await turnstile_.pass(this);
  auto failed = outcome();
  if (!failed) co_return std::unexpected(failed.error());
  auto result = co_await ram_->allocation(offset, length, most);
  co_return result;
}

}  // namespace peerlane::fuzz
