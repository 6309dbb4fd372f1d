#include "initiator/blocking.h"

#include <utility>

#include "initiator/multipath.h"

namespace peerlane::initiator {

Result<std::unique_ptr<block::BlockingDevice>> open_blocking(const std::string& url, DiskOptions options) {
  auto parsed = iscsi::parse_url(url);
  if (!parsed) return std::unexpected(std::move(parsed.error()));
  return block::BlockingDevice::open([&](io::Reactor& reactor) { return open_device(reactor, *parsed, options); });
}

}  // namespace peerlane::initiator
