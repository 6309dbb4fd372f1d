// How `peerlane attach` opens its disk: over iSCSI with a session on each of the threads that serve it, so that no
// request has to change threads.
#pragma once

#include <memory>
#include <string>

#include "attach/reactor_threads.h"
#include "base/error.h"
#include "block/device.h"

namespace peerlane::cli {

/// A disk that is open on `threads`, which outlive it. Closed at its end.
class DiskOnThreads {
 public:
  /// Blocks until it is open. Errors: sentences.
  static Result<std::unique_ptr<DiskOnThreads>> open(attach::ReactorThreads& threads, const std::string& spec,
                                                     const block::OpenOptions& options);
  ~DiskOnThreads();
  DiskOnThreads(const DiskOnThreads&) = delete;
  DiskOnThreads& operator=(const DiskOnThreads&) = delete;

  block::Device& device() const { return *device_; }
  /// Asks for its size again; see block::Device::refresh_size().
  void refresh_size() const;

 private:
  DiskOnThreads(attach::ReactorThreads& threads, std::unique_ptr<block::Device> device)
      : threads_(threads), device_(std::move(device)) {}

  attach::ReactorThreads& threads_;
  const std::unique_ptr<block::Device> device_;
};

}  // namespace peerlane::cli
