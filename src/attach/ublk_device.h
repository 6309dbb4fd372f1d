// A block::Device as a disk of this host: /dev/ublkbN, through the kernel's ublk driver (ublk_abi.h).
//
// Each queue of the device is served on one reactor; which one the kernel uses depends on the processor on which
// somebody reads or writes, so that queues need not know of each other.
//
// Recovery: a disk that has a stable identity (block::Identity) survives its server. When the process dies, the kernel
// keeps the disk and everything that is asked of it; attaching the same disk again takes the device over, and requests
// that were with the dead server are carried out again. Whoever uses the disk notices a pause.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "attach/reactor_threads.h"
#include "attach/ublk_control.h"
#include "attach/ublk_queue.h"
#include "base/limits.h"
#include "block/descriptor_device.h"
#include "block/device.h"

namespace peerlane::attach {

struct UblkOptions {
  unsigned queues = 1;  // the kernel has no use for more than there are processors
  unsigned depth = limits::kAttachDepth;
};

class UblkDevice {
 public:
  /// Makes `device` a disk of this host, served on `threads`, or takes over that of a server which has died. All are
  /// the caller's and outlive it. Errors: EBUSY, the disk is attached already; the system's. After an error the kernel
  /// may still ask for something: `device` and `threads` stay until the process ends, which it should do now.
  static Result<std::unique_ptr<UblkDevice>> attach(UblkControl& control, ReactorThreads& threads,
                                                    block::Device& device, const UblkOptions& options);
  /// Lets go of the device. Requires that it has ended.
  ~UblkDevice() = default;

  std::uint32_t number() const { return info_.device; }
  std::string path() const { return disk_path(number()); }
  const ublk::DeviceInfo& info() const { return info_; }
  bool taken_over() const { return taken_over_; }

  /// Readable (poll(2)) when the kernel asks no more: it was stopped, by stop() or by another process, and every
  /// request has ended.
  int ended_descriptor() const { return ended_event_.get(); }
  /// Waits for that; false if it takes longer than limits::kUblkTimeout.
  bool wait_until_ended() const;

  /// Tells the kernel the device's size if it has changed; whether it has. Errors: ENOTSUP, the kernel cannot change it
  /// while the disk is in use, said once for each size.
  Result<bool> follow_size();

  /// Takes the disk away. Errors: EBUSY, it is in use, and is left alone unless `force`.
  Result<void> stop(bool force);
  /// After it has ended by stop(): removes the device. No other call may follow.
  Result<void> remove();

 private:
  UblkDevice(UblkControl& control, ReactorThreads& threads, block::Device& device, int ended_event)
      : control_(control), threads_(threads), device_(device), ended_event_(ended_event) {}

  Result<void> make(const UblkOptions& options, std::uint64_t mark);
  Result<bool> take_over(std::uint64_t mark);
  Result<void> serve();
  void queue_ended();

  UblkControl& control_;
  ReactorThreads& threads_;
  block::Device& device_;
  ublk::DeviceInfo info_{};
  bool taken_over_ = false;
  std::uint64_t told_size_ = 0;
  std::unique_ptr<block::Descriptor> server_end_;
  const block::Descriptor ended_event_;
  std::atomic<unsigned> queues_alive_{0};
  std::vector<std::unique_ptr<UblkQueue>> queues_;
};

/// Takes a disk away from this host: the kernel writes what it has of it, and asks its server no more. Errors: EBUSY,
/// it is mounted or otherwise claimed, unless `force`: then whoever uses it gets errors.
Result<void> take_away(UblkControl& control, std::uint32_t device, bool force);

/// Removes a device of ours, whoever serves it and whether anybody does. Errors: as take_away(); ENODEV; EPERM, it is
/// another program's.
Result<void> detach(UblkControl& control, std::uint32_t device, bool force);

/// The number in "/dev/ublkb3", "ublkb3" or "3". Errors: EINVAL, with a sentence.
Result<std::uint32_t> parse_disk_path(const std::string& text);

/// The size that the kernel has of a disk, in bytes; 0 if there is none.
std::uint64_t size_of(std::uint32_t device);

/// Of all devices of ours, in order.
std::vector<ublk::DeviceInfo> attached_devices(UblkControl& control);

}  // namespace peerlane::attach
