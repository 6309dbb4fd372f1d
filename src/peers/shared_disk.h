// A peer's unit whose disk this machine has as well: copies read the disk, and not the unit over the network.
//
// That both are one is what the peer says and the configuration allows; before each copy it is looked at. The peer is
// told to write out what it holds (SYNCHRONIZE CACHE), so that all that it has acknowledged is on the disk, and then
// blocks of the range are read both ways and compared. They are read by the peer, too, so that reservations there hold.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "block/device.h"
#include "io/reactor.h"
#include "scsi/disk_place.h"
#include "target/peer_units.h"

namespace peerlane::peers {

/// A disk of this machine that is open for copies. Thread-safe.
class LocalDisk {
 public:
  LocalDisk(std::unique_ptr<block::Device> device, scsi::DiskPlace place)
      : device_(std::move(device)), place_(std::move(place)) {}

  block::Device& device() const { return *device_; }
  const scsi::DiskPlace& place() const { return place_; }

  /// Whether it is there, and as large as the peer's unit.
  bool is_usable() const;
  /// A read of it has failed: no further ones are tried. True for the first who says so.
  bool give_up() { return !gone_.exchange(true, std::memory_order_relaxed); }
  bool given_up() const { return gone_.load(std::memory_order_relaxed); }

  /// Whether not long ago it could not be compared with the peer's unit, or was not the same.
  bool is_doubtful(io::TimePoint now) const { return now < doubtful_until_.load(std::memory_order_relaxed); }
  void doubt(io::TimePoint now);

 private:
  const std::unique_ptr<block::Device> device_;
  const scsi::DiskPlace place_;
  std::atomic<bool> gone_{false};
  std::atomic<io::TimePoint> doubtful_until_{io::TimePoint::min()};
};

class SharedDisk final : public target::SharedDisk {
 public:
  /// `unit` is the peer's, as it is read over the network; `name` is for the log.
  SharedDisk(std::shared_ptr<LocalDisk> local, std::shared_ptr<block::Device> unit, std::string name)
      : local_(std::move(local)), unit_(std::move(unit)), name_(std::move(name)) {}

  io::Task<std::shared_ptr<block::Device>> for_reading(std::uint64_t offset, std::uint64_t length) override;

 private:
  io::Task<Result<bool>> is_same(std::uint64_t offset, std::uint64_t length, std::uint64_t sample);
  io::Task<Result<bool>> is_same_at(std::uint64_t offset, std::uint64_t length);

  const std::shared_ptr<LocalDisk> local_;
  const std::shared_ptr<block::Device> unit_;
  const std::string name_;
};

}  // namespace peerlane::peers
