// CDBs of the commands that name a range of logical blocks (SBC-4 §5): READ, WRITE, VERIFY, SYNCHRONIZE CACHE, WRITE
// SAME and their kin, in their forms of 6, 10, 12, 16 and 32 bytes. Where address and length stand follows from the
// CDB's length, what the flags mean from the family; so both are tables, and one structure holds what any of them says.
//
// Nothing here allocates or fails: the caller knows the operation code and has seen to it that the CDB is complete.
// Whether a flag is allowed is for the device server to say (target/command_table.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "scsi/blocks.h"
#include "scsi/opcodes.h"

namespace peerlane::scsi {

/// NACA of the control byte: CHECK CONDITION status establishes an ACA (SAM-5 §5.9).
inline constexpr std::uint8_t kNaca = 0x04;

/// A field of a CDB: its first byte and its width in bytes.
struct CdbField {
  std::uint8_t offset = 0;
  std::uint8_t width = 0;
};

/// Reads a field of 0 to 8 bytes; one of no bytes is 0.
std::uint64_t get_field(ByteView cdb, CdbField field);
/// Writes a field; what of `value` does not fit it is lost.
void put_field(ByteSpan cdb, CdbField field, std::uint64_t value);

/// Where the transfer length (number of blocks, verification length, prefetch length) stands in a CDB of a block
/// command.
CdbField transfer_length_field(OperationCode operation);

/// Whether NACA is set in the control byte (SAM-5 §5.2), which is the last byte of a CDB, or the second of one of
/// variable length. False for operation codes that say nothing of their CDB's length. At least 16 bytes.
inline bool naca(ByteView cdb) {
  const unsigned length = cdb_length(cdb[0]);
  const unsigned control = cdb[0] == static_cast<std::uint8_t>(OperationCode::kVariableLength) ? 1 : length - 1;
  return length != 0 && (cdb[control] & kNaca) != 0;
}

/// A block command. Flags that a family does not have are false, or 0.
struct BlockCdb {
  OperationCode operation = OperationCode::kRead10;
  std::uint16_t service_action = 0;  // of a variable length CDB
  Lba lba = {};
  BlockCount count = {};        // as meant: 256 for a transfer length of 0 in READ(6) and WRITE(6)
  std::uint8_t protect = 0;     // RDPROTECT, WRPROTECT, VRPROTECT
  bool dpo = false;             // disable page out
  bool fua = false;             // force unit access
  std::uint8_t byte_check = 0;  // BYTCHK of VERIFY: 0 medium only, 1 compare all blocks, 3 compare one block with all
  bool immediate = false;       // IMMED of SYNCHRONIZE CACHE and PRE-FETCH
  bool anchor = false;          // ANCHOR of WRITE SAME
  bool unmap = false;           // UNMAP of WRITE SAME
  bool no_data_out = false;     // NDOB of WRITE SAME(16) and (32): no Data-Out, the block is all zeroes

  friend bool operator==(const BlockCdb&, const BlockCdb&) = default;
};

/// Reads the CDB of a block command; operation code and service action must be those of one. At least cdb_length()
/// bytes.
BlockCdb decode_block_cdb(ByteView cdb);

/// Writes the CDB to `out` (at least 16 bytes, 32 for a variable length CDB; those past its length are zeroed) and
/// returns its length. The address and count must fit its fields.
std::size_t encode_block_cdb(const BlockCdb& blocks, ByteSpan out);

}  // namespace peerlane::scsi
