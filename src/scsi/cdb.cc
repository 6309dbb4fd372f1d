#include "scsi/cdb.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

constexpr std::uint64_t kMostBlocks6 = 256;
constexpr std::uint8_t kLba6HighMask = 0x1f;  // READ(6) and WRITE(6): the address is 21 bits from byte 1 on

/// Address and length by CDB length (SPC-4 §4.2.2, typical CDBs).
struct RangeLayout {
  CdbField lba;
  CdbField count;
};
constexpr RangeLayout kLayout6{{1, 3}, {4, 1}};
constexpr RangeLayout kLayout10{{2, 4}, {7, 2}};
constexpr RangeLayout kLayout12{{2, 4}, {6, 4}};
constexpr RangeLayout kLayout16{{2, 8}, {10, 4}};
constexpr RangeLayout kLayout32{{12, 8}, {28, 4}};
constexpr RangeLayout kLayoutCompareAndWrite{{2, 8}, {13, 1}};
constexpr RangeLayout kLayoutWriteAtomic{{2, 8}, {12, 2}};

constexpr const RangeLayout& layout_of(OperationCode operation) {
  if (operation == OperationCode::kCompareAndWrite) return kLayoutCompareAndWrite;
  if (operation == OperationCode::kWriteAtomic16) return kLayoutWriteAtomic;
  switch (cdb_length(static_cast<std::uint8_t>(operation))) {
    case 6:
      return kLayout6;
    case 10:
      return kLayout10;
    case 12:
      return kLayout12;
    case kVariableLengthCdbBytes:
      return kLayout32;
    default:
      return kLayout16;
  }
}

// The byte of the flags, by family: byte 1, or byte 10 of a variable length CDB.
constexpr std::size_t kFlags = 1;
constexpr std::size_t kFlags32 = 10;
constexpr std::size_t kServiceAction32 = 8;
constexpr std::size_t kAdditionalLength32 = 7;
constexpr unsigned kProtectShift = 5;
constexpr std::uint8_t kDpo = 0x10;
constexpr std::uint8_t kFua = 0x08;
constexpr unsigned kByteCheckShift = 1;
constexpr std::uint8_t kByteCheckMask = 0x03;
constexpr std::uint8_t kImmediate = 0x02;
constexpr std::uint8_t kAnchor = 0x10;
constexpr std::uint8_t kUnmap = 0x08;
constexpr std::uint8_t kNoDataOut = 0x01;

enum class Family { kSix, kTransfer, kVerify, kSynchronize, kWriteSame };

constexpr Family family_of_32(std::uint16_t service_action) {
  switch (service_action) {
    case kVerify32:
    case kWriteAndVerify32:
      return Family::kVerify;
    case kWriteSame32:
      return Family::kWriteSame;
    default:
      return Family::kTransfer;
  }
}

constexpr Family family_of(const BlockCdb& blocks) {
  switch (blocks.operation) {
    case OperationCode::kRead6:
    case OperationCode::kWrite6:
      return Family::kSix;
    case OperationCode::kVerify10:
    case OperationCode::kVerify12:
    case OperationCode::kVerify16:
    case OperationCode::kWriteAndVerify10:
    case OperationCode::kWriteAndVerify12:
    case OperationCode::kWriteAndVerify16:
      return Family::kVerify;
    case OperationCode::kSynchronizeCache10:
    case OperationCode::kSynchronizeCache16:
    case OperationCode::kPreFetch10:
    case OperationCode::kPreFetch16:
      return Family::kSynchronize;
    case OperationCode::kWriteSame10:
    case OperationCode::kWriteSame16:
      return Family::kWriteSame;
    case OperationCode::kVariableLength:
      return family_of_32(blocks.service_action);
    default:
      return Family::kTransfer;
  }
}

void decode_flags(std::uint8_t byte, BlockCdb& blocks) {
  const Family family = family_of(blocks);
  if (family == Family::kSix) return;
  if (family != Family::kSynchronize) blocks.protect = static_cast<std::uint8_t>(byte >> kProtectShift);
  switch (family) {
    case Family::kSix:
      break;
    case Family::kTransfer:
      blocks.dpo = (byte & kDpo) != 0;
      blocks.fua = (byte & kFua) != 0;
      break;
    case Family::kVerify:
      blocks.dpo = (byte & kDpo) != 0;
      blocks.byte_check = static_cast<std::uint8_t>(byte >> kByteCheckShift & kByteCheckMask);
      break;
    case Family::kSynchronize:
      blocks.immediate = (byte & kImmediate) != 0;
      break;
    case Family::kWriteSame:
      blocks.anchor = (byte & kAnchor) != 0;
      blocks.unmap = (byte & kUnmap) != 0;
      blocks.no_data_out = blocks.operation != OperationCode::kWriteSame10 && (byte & kNoDataOut) != 0;
      break;
  }
}

std::uint8_t encode_flags(const BlockCdb& blocks) {
  const auto flag = [](bool set, unsigned mask) { return set ? mask : 0u; };
  const unsigned protect = static_cast<unsigned>(blocks.protect) << kProtectShift;
  unsigned byte = 0;
  switch (family_of(blocks)) {
    case Family::kSix:
      break;
    case Family::kTransfer:
      byte = protect | flag(blocks.dpo, kDpo) | flag(blocks.fua, kFua);
      break;
    case Family::kVerify:
      byte = protect | flag(blocks.dpo, kDpo) | static_cast<unsigned>(blocks.byte_check) << kByteCheckShift;
      break;
    case Family::kSynchronize:
      byte = flag(blocks.immediate, kImmediate);
      break;
    case Family::kWriteSame:
      byte = protect | flag(blocks.anchor, kAnchor) | flag(blocks.unmap, kUnmap) | flag(blocks.no_data_out, kNoDataOut);
      break;
  }
  return static_cast<std::uint8_t>(byte);
}

}  // namespace

std::uint64_t get_field(ByteView cdb, CdbField field) {
  assert(std::size_t{field.offset} + field.width <= cdb.size());
  std::uint64_t value = 0;
  for (unsigned i = 0; i < field.width; ++i) value = value << 8 | cdb[field.offset + i];
  return value;
}

void put_field(ByteSpan cdb, CdbField field, std::uint64_t value) {
  for (unsigned i = 0; i < field.width; ++i) {
    cdb[field.offset + i] = static_cast<std::uint8_t>(value >> 8 * (field.width - 1u - i));
  }
}

CdbField transfer_length_field(OperationCode operation) {
  return layout_of(operation).count;
}

BlockCdb decode_block_cdb(ByteView cdb) {
  BlockCdb blocks;
  blocks.operation = static_cast<OperationCode>(cdb[0]);
  const bool variable = blocks.operation == OperationCode::kVariableLength;
  if (variable) blocks.service_action = get_be16(cdb, kServiceAction32);
  const RangeLayout& layout = layout_of(blocks.operation);
  blocks.lba.value = get_field(cdb, layout.lba);
  blocks.count.value = get_field(cdb, layout.count);
  if (family_of(blocks) == Family::kSix) {
    blocks.lba.value &= std::uint64_t{kLba6HighMask} << 16 | 0xffff;
    if (blocks.count.value == 0) blocks.count.value = kMostBlocks6;
  }
  decode_flags(cdb[variable ? kFlags32 : kFlags], blocks);
  return blocks;
}

std::size_t encode_block_cdb(const BlockCdb& blocks, ByteSpan out) {
  const RangeLayout& layout = layout_of(blocks.operation);
  const bool variable = blocks.operation == OperationCode::kVariableLength;
  std::fill_n(out.begin(), variable ? kVariableLengthCdbBytes : 16, std::uint8_t{0});
  out[0] = static_cast<std::uint8_t>(blocks.operation);
  out[variable ? kFlags32 : kFlags] = encode_flags(blocks);
  if (variable) {
    out[kAdditionalLength32] = kAdditionalCdbLength;
    put_be16(out, kServiceAction32, blocks.service_action);
  }
  put_field(out, layout.lba, blocks.lba.value);  // in six-byte CDBs this is byte 1 as well, which has no flags there
  put_field(out, layout.count, blocks.count.value);
  return cdb_length(out[0]);
}

}  // namespace peerlane::scsi
