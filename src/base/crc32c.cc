#include "base/crc32c.h"

#include <isa-l/crc.h>

namespace peerlane {

void Crc32c::add(ByteView bytes) {
  // ISA-L takes a mutable pointer but only reads. Its length is an int; no caller has a buffer of 2 GiB.
  state_ = crc32_iscsi(const_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), state_);
}

std::uint32_t crc32c(ByteView bytes) {
  Crc32c crc;
  crc.add(bytes);
  return crc.value();
}

}  // namespace peerlane
