#include "peers/shared_disk.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/limits.h"
#include "base/log.h"
#include "iscsi/random.h"

namespace peerlane::peers {
namespace {

/// What is compared of a range: so much of it at most, in pieces of this unit. Of a range that is too short for that
/// little would be left that does not cross the network.
constexpr std::uint64_t kComparedPart = 16;
constexpr std::uint64_t kSampleUnit = 4096;

constexpr std::chrono::seconds kDoubt{10};  // the network is taken so long before it is tried again

/// The unit, read from the disk; and over the network, if that fails.
class NearUnit final : public block::Device {
 public:
  NearUnit(std::shared_ptr<LocalDisk> local, std::shared_ptr<block::Device> unit)
      : local_(std::move(local)), unit_(std::move(unit)) {}

  block::Geometry geometry() const override { return unit_->geometry(); }
  block::Capabilities capabilities() const override {
    block::Capabilities can;
    can.read_only = true;
    can.allocation = unit_->capabilities().allocation;
    return can;
  }
  block::Identity identity() const override {
    const block::Identity here = local_->device().identity();
    return {fmt::format("{} ({})", here.spec, unit_->identity().spec), here.stable};
  }
  std::uint32_t memory_alignment() const override {
    return std::max(local_->device().memory_alignment(), unit_->memory_alignment());
  }

  io::Task<Result<void>> read(std::uint64_t offset, ByteSpan into) override {
    if (!local_->given_up()) {
      auto read = co_await local_->device().read(offset, into);
      if (read) co_return read;
      const bool first = local_->give_up();
      if (first) {
        log::warning("reading {}: {}; it is read over the network now", identity().spec, read.error().text());
      }
    }
    auto read = co_await unit_->read(offset, into);
    co_return read;
  }
  io::Task<Result<void>> write(std::uint64_t, ByteView, block::WriteFlags) override { return refuse(); }
  io::Task<Result<void>> flush() override { return io::ready(Result<void>()); }
  io::Task<Result<void>> unmap(std::uint64_t, std::uint64_t) override { return refuse(); }
  io::Task<Result<void>> write_zeroes(std::uint64_t, std::uint64_t, bool) override { return refuse(); }
  io::Task<Result<std::vector<block::Extent>>> allocation(std::uint64_t offset, std::uint64_t length,
                                                          std::size_t most) override {
    return unit_->allocation(offset, length, most);
  }
  Result<bool> refresh_size() override { return false; }
  std::optional<block::Backing> backing() const override {
    return local_->given_up() ? std::nullopt : local_->device().backing();
  }
  block::CopyOffload* copy_offload() override { return unit_->copy_offload(); }

 private:
  static io::Task<Result<void>> refuse() { return io::ready(Result<void>(fail(EROFS))); }

  const std::shared_ptr<LocalDisk> local_;
  const std::shared_ptr<block::Device> unit_;
};

}  // namespace

bool LocalDisk::is_usable() const {
  const auto refreshed = device_->refresh_size();
  return !given_up() && refreshed && device_->geometry().size == place_.length;
}

void LocalDisk::doubt(io::TimePoint now) {
  doubtful_until_.store(now + kDoubt, std::memory_order_relaxed);
}

io::Task<std::shared_ptr<block::Device>> SharedDisk::for_reading(std::uint64_t offset, std::uint64_t length) {
  const io::Reactor& reactor = io::Reactor::current();
  const std::uint64_t part = length / kComparedPart / limits::kSharedDiskSamples;
  const std::uint64_t sample = std::min<std::uint64_t>(limits::kSharedDiskSampleBytes, part - part % kSampleUnit);
  const bool grown = unit_->geometry().size != local_->place().length;
  if (sample == 0 || grown || !local_->is_usable() || local_->is_doubtful(reactor.now())) co_return unit_;
  // What is written meanwhile makes a difference, too, but hardly twice.
  Result<bool> same = false;
  for (int i = 0; i < 2 && same && !*same; ++i) same = co_await is_same(offset, length, sample);
  if (same && *same) co_return std::make_shared<NearUnit>(local_, unit_);
  local_->doubt(reactor.now());
  const std::string& path = local_->device().identity().spec;
  if (same) {
    log::warning(
        "{} and {} of this machine have different data, though both are called {}: it is read over the network; "
        "list under shared_disks only what is one disk",
        name_, path, local_->place().identity);
  } else {
    log::warning("{} cannot be compared with {} here, and is read over the network: {}", name_, path,
                 same.error().text());
  }
  co_return unit_;
}

/// Whether samples of the range are the same: its beginning, its end, and places between that nobody can foresee.
io::Task<Result<bool>> SharedDisk::is_same(std::uint64_t offset, std::uint64_t length, std::uint64_t sample) {
  std::array<std::uint8_t, 8 * limits::kSharedDiskSamples> random{};
  iscsi::SystemRandom source;
  auto filled = source.fill(random);
  if (!filled) co_return std::unexpected(std::move(filled.error()));
  auto flushed = co_await unit_->flush();
  if (!flushed) co_return std::unexpected(std::move(flushed.error()));

  const std::uint64_t block = unit_->geometry().logical_block_size;
  const std::uint64_t begin = (offset + block - 1) / block * block;
  const std::uint64_t end = (offset + length) / block * block;
  const std::uint64_t slice = (end - begin) / limits::kSharedDiskSamples;
  for (std::size_t i = 0; i < limits::kSharedDiskSamples; ++i) {
    const bool last = i + 1 == limits::kSharedDiskSamples;
    const std::uint64_t choice = get_be64(random, 8 * i) % (slice - sample + 1);
    std::uint64_t at = last ? end - sample : begin + i * slice + (i == 0 ? 0 : choice);
    at -= at % block;
    auto same = co_await is_same_at(at, sample);
    if (!same || !*same) co_return same;
  }
  co_return true;
}

io::Task<Result<bool>> SharedDisk::is_same_at(std::uint64_t offset, std::uint64_t length) {
  io::BufferPool& pool = io::Reactor::current().buffers();
  const std::optional<io::Buffer> here = pool.allocate(length);
  const std::optional<io::Buffer> there = pool.allocate(length);
  if (!here || !there) co_return fail(ENOMEM, "all buffers are in use");
  auto read = co_await unit_->read(offset, there->bytes());
  if (read) read = co_await local_->device().read(offset, here->bytes());
  if (!read) co_return std::unexpected(std::move(read.error()));
  co_return std::memcmp(here->bytes().data(), there->bytes().data(), length) == 0;
}

}  // namespace peerlane::peers
