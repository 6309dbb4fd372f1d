// What ublk's requests and parameters mean for a block::Device: arithmetic only, no kernel.
#pragma once

#include <cstdint>
#include <string_view>

#include "attach/ublk_abi.h"
#include "block/device.h"

namespace peerlane::attach {

/// A request of the kernel, checked.
struct UblkRequest {
  enum class Kind : std::uint8_t { kRead, kWrite, kFlush, kUnmap, kWriteZeroes };
  Kind kind = Kind::kFlush;
  std::uint64_t offset = 0;  // bytes
  std::uint64_t length = 0;  // bytes; at most the buffer's for reads and writes
  bool fua = false;          // writes: on stable storage when it completes
  bool may_unmap = false;    // write zeroes: the range need not keep its space
};

/// The request in a descriptor, for a device of this shape with buffers of `io_bytes`. Errors: EIO, beyond the end, not
/// whole blocks or longer than a buffer; EROFS; ENOTSUP, what the device cannot do or nobody knows.
Result<UblkRequest> decode_request(const ublk::RequestDescriptor& descriptor, const block::Geometry& geometry,
                                   const block::Capabilities& capabilities, std::uint32_t io_bytes);

/// What is committed for a request: the bytes that were done, or a negative errno that the kernel gives on to
/// whoever asked. -ENODEV, which would end the queue, is never among them.
std::int32_t result_of(const UblkRequest& request, const Result<void>& done);

/// What the kernel is told of a disk. `io_bytes` is the length of a queue's buffers.
ublk::Parameters parameters_of(const block::Geometry& geometry, const block::Capabilities& capabilities,
                               std::uint32_t io_bytes);

/// How a device is marked (DeviceInfo::server_flags) so that a later server finds it again: that it is ours, and which
/// disk it shows. A disk without a stable identity is marked as ours only, and cannot be found.
std::uint64_t mark_of(std::string_view stable_identity);
bool is_marked(std::uint64_t server_flags);
/// Whether the mark is that of a disk that has a stable identity.
bool names_a_disk(std::uint64_t server_flags);

}  // namespace peerlane::attach
