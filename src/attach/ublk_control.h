// /dev/ublk-control: makes, starts, stops and removes devices. Calls block for as long as the kernel takes, up to
// limits::kUblkTimeout (ETIMEDOUT); no reactor may be the caller's thread. Not thread-safe.
//
// Errors of all: the system's, with a sentence that says what was being done.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <liburing.h>

#include "attach/ublk_abi.h"
#include "base/error.h"

namespace peerlane::attach {

class UblkControl {
 public:
  UblkControl() = default;
  UblkControl(const UblkControl&) = delete;
  UblkControl& operator=(const UblkControl&) = delete;
  ~UblkControl();

  /// Opens it. Errors: a sentence that says what to do where the kernel has no ublk, or an old one, or does not let us.
  Result<void> open();

  /// What this kernel can do: flags of ublk_abi.h.
  std::uint64_t features() const { return features_; }

  /// Makes a device. `info` says what is wanted, and afterwards what there is: the number, and perhaps fewer queues.
  Result<void> add(ublk::DeviceInfo& info);
  Result<void> set_parameters(std::uint32_t device, ublk::Parameters parameters);
  /// Makes the disk appear. Its queues must be served by other threads of this process.
  Result<void> start(std::uint32_t device);
  /// Takes the disk away: what was written through the page cache reaches it first; requests of whoever still has it
  /// open fail.
  Result<void> stop(std::uint32_t device);
  /// Removes a device. `wait`: until its server and all who have its disk open or mounted have let go of it; then its
  /// number is free. Kernels before Linux 6.9 always wait.
  Result<void> remove(std::uint32_t device, bool wait);
  /// ENODEV: there is no such device.
  Result<ublk::DeviceInfo> info(std::uint32_t device);
  /// EBUSY: its server has not ended yet.
  Result<void> start_recovery(std::uint32_t device);
  /// Lets the requests go on that waited for a server, which this process now is.
  Result<void> end_recovery(std::uint32_t device);
  /// Needs feature kSizeUpdates. `size` in bytes.
  Result<void> update_size(std::uint32_t device, std::uint64_t size);

  /// The numbers of all devices that there are, ours or not.
  static std::vector<std::uint32_t> devices();

 private:
  Result<void> execute(std::uint32_t operation, const ublk::ControlCommand& command, const char* doing);

  io_uring ring_{};
  bool ring_open_ = false;
  int fd_ = -1;
  std::uint64_t features_ = 0;
  // What commands point to: the kernel may write there even after a command that we did not wait for.
  union {
    std::uint64_t features;
    ublk::DeviceInfo info;
    ublk::Parameters parameters;
  } buffer_{};
};

/// "/dev/ublkbN", the disk, and "/dev/ublkcN", the server's end.
std::string disk_path(std::uint32_t device);
std::string server_path(std::uint32_t device);

}  // namespace peerlane::attach
