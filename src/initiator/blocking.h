// A remote disk for plain threads: each call waits for its end. One thread of its own, with a reactor, does the work;
// any number of threads may call at the same time, and their commands are in flight together.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/error.h"
#include "block/device.h"
#include "initiator/disk.h"

namespace peerlane::initiator {

class BlockingDisk {
 public:
  /// Opens the disk of an iSCSI URL. Errors: as parse_url() and open_disk().
  static Result<std::unique_ptr<BlockingDisk>> open(const std::string& url, DiskOptions options = {});
  /// Closes, if close() was not called.
  ~BlockingDisk();
  BlockingDisk(const BlockingDisk&) = delete;
  BlockingDisk& operator=(const BlockingDisk&) = delete;

  block::Geometry geometry() const { return disk_->geometry(); }
  block::Capabilities capabilities() const { return disk_->capabilities(); }
  block::Identity identity() const { return disk_->identity(); }

  /// As block::Device has them. Offsets and lengths are multiples of the logical block size and within the disk: EINVAL
  /// if not. Buffers are used in place.
  Result<void> read(std::uint64_t offset, ByteSpan into);
  Result<void> write(std::uint64_t offset, ByteView from, block::WriteFlags flags = block::WriteFlags::kNone);
  Result<void> flush();
  Result<void> unmap(std::uint64_t offset, std::uint64_t length);
  Result<void> write_zeroes(std::uint64_t offset, std::uint64_t length, bool may_unmap);

  /// Logs out and ends the thread. No call may be under way or follow, but those of geometry() and its like.
  Result<void> close();

 private:
  BlockingDisk() = default;
  void start(const iscsi::Url& url, DiskOptions options, Result<void>& opened, std::function<void()> ready);
  Result<void> check(std::uint64_t offset, std::uint64_t length) const;
  Result<void> call(const std::function<io::Task<Result<void>>()>& make);

  io::Reactor* reactor_ = nullptr;  // the thread's, as long as it runs
  std::unique_ptr<Lun> disk_;
  std::jthread thread_;
};

}  // namespace peerlane::initiator
