// SCSI status and sense data (SAM-5 §5.3.1, SPC-4 §4.5): what a device server answers when a command does not simply
// succeed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace peerlane::scsi {

/// SAM-5 table 33.
enum class Status : std::uint8_t {
  kGood = 0x00,
  kCheckCondition = 0x02,
  kConditionMet = 0x04,
  kBusy = 0x08,
  kReservationConflict = 0x18,
  kTaskSetFull = 0x28,
  kAcaActive = 0x30,
  kTaskAborted = 0x40,
};

/// SPC-4 table 43.
enum class SenseKey : std::uint8_t {
  kNoSense = 0x0,
  kRecoveredError = 0x1,
  kNotReady = 0x2,
  kMediumError = 0x3,
  kHardwareError = 0x4,
  kIllegalRequest = 0x5,
  kUnitAttention = 0x6,
  kDataProtect = 0x7,
  kBlankCheck = 0x8,
  kVendorSpecific = 0x9,
  kCopyAborted = 0xa,
  kAbortedCommand = 0xb,
  kVolumeOverflow = 0xd,
  kMiscompare = 0xe,
  kCompleted = 0xf,
};

/// ADDITIONAL SENSE CODE in the high byte, its qualifier in the low one. The named ones are in scsi/sense_codes.h.
enum class SenseCode : std::uint16_t {};

/// Where in the CDB or the parameter list an ILLEGAL REQUEST has its cause (SPC-4 §4.5.2.4.2), or where in the
/// parameter list a COPY ABORTED has it (segment pointer, §4.5.2.4.5).
struct FieldPointer {
  bool in_cdb = true;               // C/D: false is the parameter list; with COPY ABORTED always false
  std::optional<std::uint8_t> bit;  // the most significant bit of the field, if not the whole byte
  std::uint16_t byte = 0;
  bool in_segment = false;  // SD, with COPY ABORTED: counted from the beginning of the segment descriptor
};

struct Sense {
  SenseKey key = SenseKey::kNoSense;
  SenseCode code{};
  std::optional<std::uint64_t> information = {};       // the INFORMATION field, an LBA as a rule
  std::optional<std::uint64_t> command_specific = {};  // with COPY ABORTED: the number of the segment
  std::optional<FieldPointer> field = {};              // with ILLEGAL REQUEST and COPY ABORTED
  std::optional<std::uint16_t> progress =
      {};                 // with NO SENSE and NOT READY: done, in parts of 65536 (SPC-4 §4.5.2.4.4)
  bool deferred = false;  // of an earlier command, which has had its status (SPC-4 §4.5.6)
};

inline constexpr std::size_t kMaxSenseBytes = 252;

/// Writes `sense` in fixed format (SPC-4 §4.5.3; 18 bytes) or descriptor format (§4.5.2; as long as needed) to `out`,
/// which has at least kMaxSenseBytes; returns the number of bytes. In fixed format, an INFORMATION that exceeds 32 bits
/// sets VALID to 0, and a COMMAND-SPECIFIC INFORMATION of that size is left out; one of 0 reads back as none.
std::size_t encode_sense(const Sense& sense, bool descriptor_format, ByteSpan out);

/// Reads either format. Nothing if `bytes` is too short or of no known response code.
std::optional<Sense> decode_sense(ByteView bytes);

}  // namespace peerlane::scsi
