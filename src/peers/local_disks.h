// Disks of this machine that units of peers lie on, too: found by the identity that the peer states
// (scsi/disk_place.h), opened to be read only.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/error.h"
#include "block/device.h"
#include "io/reactor.h"
#include "scsi/disk_place.h"

namespace peerlane::peers {

/// The block device of this machine that is this place, opened read-only, past the page cache, with logical blocks of
/// `block_size` bytes, and as long as the place. Errors, with a sentence: ENODEV, there is none; those of
/// block::open_device(). Blocks.
Result<std::unique_ptr<block::Device>> open_local_disk(const scsi::DiskPlace& place, std::uint32_t block_size);

/// The same from a reactor: a thread looks, since a disk that does not answer may keep it waiting.
class LocalDisks {
 public:
  using Open = std::function<Result<std::unique_ptr<block::Device>>(const scsi::DiskPlace&, std::uint32_t)>;

  explicit LocalDisks(Open open) : open_(std::move(open)) {}

  /// On `home`, which is the caller's. As open_local_disk(). All calls must have ended before this goes.
  io::Task<Result<std::unique_ptr<block::Device>>> open(io::Reactor& home, scsi::DiskPlace place,
                                                        std::uint32_t block_size);

 private:
  const Open open_;
};

}  // namespace peerlane::peers
