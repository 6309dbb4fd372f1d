#include "initiator/blocking.h"

#include <condition_variable>
#include <mutex>
#include <utility>

namespace peerlane::initiator {
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

io::Task<void> run_and_tell(const std::function<io::Task<Result<void>>()>& make, Result<void>& result, Signal& over) {
  result = co_await make();
  over.set();
}

io::Task<void> open_and_tell(io::Reactor& reactor, iscsi::Url url, DiskOptions options, std::unique_ptr<Lun>& disk,
                             Result<void>& opened, std::function<void()> ready) {
  auto opening = open_disk(reactor, std::move(url), std::move(options));
  auto lun = co_await std::move(opening);
  if (lun) {
    disk = std::move(*lun);
  } else {
    opened = std::unexpected(std::move(lun.error()));
    reactor.stop();
  }
  ready();
}

}  // namespace

Result<std::unique_ptr<BlockingDisk>> BlockingDisk::open(const std::string& url, DiskOptions options) {
  auto parsed = iscsi::parse_url(url);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  std::unique_ptr<BlockingDisk> blocking(new BlockingDisk());
  Result<void> opened;
  Signal ready;
  blocking->thread_ = std::jthread(
      [&, self = blocking.get()] { self->start(*parsed, std::move(options), opened, [&ready] { ready.set(); }); });
  ready.wait();
  if (!opened) return std::unexpected(std::move(opened.error()));
  return blocking;
}

/// The thread: a reactor with the disk on it, until close() stops it.
void BlockingDisk::start(const iscsi::Url& url, DiskOptions options, Result<void>& opened,
                         std::function<void()> ready) {
  auto reactor = io::Reactor::create();
  if (!reactor) {
    opened = std::unexpected(std::move(reactor.error()));
    ready();
    return;
  }
  reactor_ = reactor->get();
  io::spawn(open_and_tell(**reactor, url, std::move(options), disk_, opened, std::move(ready)));
  (*reactor)->run();
}

BlockingDisk::~BlockingDisk() {
  if (disk_ != nullptr && thread_.joinable()) static_cast<void>(close());
}

Result<void> BlockingDisk::call(const std::function<io::Task<Result<void>>()>& make) {
  Result<void> result;
  Signal over;
  reactor_->post([&] { io::spawn(run_and_tell(make, result, over)); });
  over.wait();
  return result;
}

Result<void> BlockingDisk::check(std::uint64_t offset, std::uint64_t length) const {
  const block::Geometry shape = disk_->geometry();
  if (offset % shape.logical_block_size != 0 || length % shape.logical_block_size != 0) {
    return fail(EINVAL, "offset and length are to be multiples of the logical block size");
  }
  if (offset > shape.size || length > shape.size - offset) return fail(EINVAL, "the range exceeds the disk");
  return {};
}

Result<void> BlockingDisk::read(std::uint64_t offset, ByteSpan into) {
  if (auto checked = check(offset, into.size()); !checked) return checked;
  return call([&] { return disk_->read(offset, into); });
}

Result<void> BlockingDisk::write(std::uint64_t offset, ByteView from, block::WriteFlags flags) {
  if (auto checked = check(offset, from.size()); !checked) return checked;
  return call([&] { return disk_->write(offset, from, flags); });
}

Result<void> BlockingDisk::flush() {
  return call([&] { return disk_->flush(); });
}

Result<void> BlockingDisk::unmap(std::uint64_t offset, std::uint64_t length) {
  if (auto checked = check(offset, length); !checked) return checked;
  return call([&] { return disk_->unmap(offset, length); });
}

Result<void> BlockingDisk::write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap) {
  if (auto checked = check(offset, length); !checked) return checked;
  return call([&] { return disk_->write_zeroes(offset, length, may_unmap); });
}

Result<void> BlockingDisk::close() {
  auto closed = call([&] { return disk_->close(); });
  reactor_->stop();
  thread_.join();
  return closed;
}

}  // namespace peerlane::initiator
