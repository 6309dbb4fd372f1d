#include "scsi/priority.h"

#include <algorithm>

namespace peerlane::scsi {
namespace {

// Priority descriptor (SPC-4 table 278).
constexpr std::size_t kPriority = 0;
constexpr std::size_t kRelativeTargetPort = 2;
constexpr std::size_t kTransportIdLength = 6;

}  // namespace

std::size_t encode_priorities(std::span<const NexusPriority> priorities, ByteSpan out) {
  std::size_t size = kPriorityHeaderBytes;
  for (const NexusPriority& nexus : priorities) {
    const ByteSpan descriptor = out.subspan(size);
    std::fill_n(descriptor.begin(), kPriorityDescriptorBytes, std::uint8_t{0});
    const std::size_t id = encode_transport_id(nexus.initiator, descriptor.subspan(kPriorityDescriptorBytes));
    descriptor[kPriority] = nexus.priority;
    put_be16(descriptor, kRelativeTargetPort, nexus.relative_target_port);
    put_be16(descriptor, kTransportIdLength, static_cast<std::uint16_t>(id));
    size += kPriorityDescriptorBytes + id;
  }
  put_be32(out, 0, static_cast<std::uint32_t>(size - kPriorityHeaderBytes));
  return size;
}

}  // namespace peerlane::scsi
