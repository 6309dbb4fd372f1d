// CDBs of THIRD-PARTY COPY OUT (83h) and THIRD-PARTY COPY IN (84h): EXTENDED COPY and COPY OPERATION ABORT (SPC-4 §6.3
// to §6.5), POPULATE TOKEN and WRITE USING TOKEN (SBC-3 §5.7, §5.45), RECEIVE COPY and its kin (SPC-4 §6.20 to §6.25),
// RECEIVE ROD TOKEN INFORMATION (§6.28), REPORT ALL ROD TOKENS (§6.31).
//
// All are of 16 bytes and say the same two things, the second at the same place: which copy operation is meant (its
// list identifier, of one byte or of four), and how long the parameter list or the room for the answer is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "scsi/cdb.h"
#include "scsi/opcodes.h"

namespace peerlane::scsi {

inline constexpr std::size_t kCopyCdbBytes = 16;

/// The two forms in which EXTENDED COPY and what asks for its results exist: list identifiers of one byte, or of four.
enum class CopyForm : std::uint8_t { kLid1, kLid4 };

struct CopyCdb {
  OperationCode operation = OperationCode::kThirdPartyCopyOut;  // or kThirdPartyCopyIn
  std::uint16_t service_action = kExtendedCopyLid1;
  std::uint32_t list_identifier = 0;  // 0 for EXTENDED COPY, which has it in its parameter list
  std::uint32_t length = 0;           // PARAMETER LIST LENGTH or ALLOCATION LENGTH; 0 for COPY OPERATION ABORT
  std::uint8_t group = 0;             // GROUP NUMBER of POPULATE TOKEN and WRITE USING TOKEN, 0 to 63

  friend bool operator==(const CopyCdb&, const CopyCdb&) = default;
};

/// Where LIST IDENTIFIER stands in the CDB of that service action; a field of no bytes where it has none.
CdbField copy_list_identifier_field(OperationCode operation, std::uint16_t service_action);

/// Nothing if the CDB is too short, of another operation code, or of a service action that is not in scsi/opcodes.h.
std::optional<CopyCdb> decode_copy_cdb(ByteView cdb);

/// Writes the CDB to `out` (at least kCopyCdbBytes) and returns its length. The list identifier must fit its field.
std::size_t encode_copy_cdb(const CopyCdb& copy, ByteSpan out);

}  // namespace peerlane::scsi
