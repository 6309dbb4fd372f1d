// READ CAPACITY (SBC-4 §5.16 and §5.17).

#include <bit>

#include "scsi/capacity.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

scsi::Capacity capacity_of(const LogicalUnit& unit) {
  scsi::Capacity capacity;
  capacity.blocks = unit.capacity();
  capacity.block_size = unit.block_size();
  capacity.physical_exponent =
      static_cast<std::uint8_t>(std::countr_zero(unit.physical_block_size() / unit.block_size()));
  capacity.provisioning = unit.capabilities().unmap;
  capacity.reads_zeroes = unit.capabilities().unmap;
  return capacity;
}

}  // namespace

Answer read_capacity_10(const CommandContext& context, ByteSpan out) {
  return scsi::encode_capacity10(capacity_of(context.unit), out);
}

Answer read_capacity_16(const CommandContext& context, ByteSpan out) {
  return scsi::encode_capacity16(capacity_of(context.unit), out);
}

}  // namespace peerlane::target
