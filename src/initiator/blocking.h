// Remote disks for plain threads (block/blocking_device.h): open one by its URL, and call.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "block/blocking_device.h"
#include "initiator/disk.h"

namespace peerlane::initiator {

/// Opens the disk of an iSCSI URL, on as many paths as its options say. Errors: as parse_url() and open_device().
Result<std::unique_ptr<block::BlockingDevice>> open_blocking(const std::string& url, DiskOptions options = {});

}  // namespace peerlane::initiator
