// Protocol Data Units (RFC 7143 §11): the Basic Header Segment that every PDU begins with, the Additional Header
// Segments that may follow it, and the PDUs that move commands and data: SCSI Command, SCSI Response, Data-Out,
// Data-In, R2T. The other PDUs are in iscsi/pdu_control.h.
//
// A PDU on the wire is: BHS (48 bytes), AHS (TotalAHSLength words), header digest if negotiated, data segment padded to
// four bytes, data digest if negotiated and the segment is not empty.
//
// Each PDU is a struct with the names of the RFC's fields. `decode` reads a BHS whose opcode the caller has looked at,
// and says which field no implementation may send; what depends on the session's state or on negotiated values is for
// the caller to check. `encode` writes all 48 bytes; reserved fields become zero. Nothing here allocates; all of it is
// thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "iscsi/codes.h"
#include "iscsi/sequence.h"

namespace peerlane::iscsi {

inline constexpr std::size_t kBhsBytes = 48;
inline constexpr std::size_t kDigestBytes = 4;
inline constexpr std::uint32_t kMaxDataSegmentLength = (1u << 24) - 1;  // the field has 24 bits

using BhsView = std::span<const std::uint8_t, kBhsBytes>;
using BhsSpan = std::span<std::uint8_t, kBhsBytes>;

/// `length` rounded up to the four-byte words that a data segment is padded to (RFC 7143 §11.1).
constexpr std::size_t padded(std::size_t length) {
  return (length + 3) & ~std::size_t{3};
}

/// What is wrong with a PDU: the reason for a Reject, and the field in words. `field` lives for ever.
struct Malformed {
  RejectReason reason = RejectReason::kInvalidPduField;
  const char* field = "";
};

template <typename T>
using Decoded = std::expected<T, Malformed>;

inline std::unexpected<Malformed> malformed(RejectReason reason, const char* field) {
  return std::unexpected(Malformed{reason, field});
}

/// The LUN field as it is on the wire (SAM-5 §4.7); what it addresses is the SCSI layer's to say.
struct LunField {
  std::uint64_t value = 0;
  bool operator==(const LunField&) const = default;
};

/// Where the fields are that several PDUs share, in bytes from the start of the BHS.
namespace offset {
inline constexpr std::size_t kFlags = 1;
inline constexpr std::size_t kByte2 = 2;  // a response, reason or version
inline constexpr std::size_t kByte3 = 3;  // a status or version
inline constexpr std::size_t kTotalAhsLength = 4;
inline constexpr std::size_t kDataSegmentLength = 5;
inline constexpr std::size_t kLun = 8;
inline constexpr std::size_t kInitiatorTaskTag = 16;
inline constexpr std::size_t kWord20 = 20;  // a transfer tag, a length or a CID
inline constexpr std::size_t kCmdSn = 24;   // of requests
inline constexpr std::size_t kStatSn = 24;  // of responses
inline constexpr std::size_t kExpStatSn = 28;
inline constexpr std::size_t kExpCmdSn = 28;
inline constexpr std::size_t kMaxCmdSn = 32;
inline constexpr std::size_t kCdb = 32;
inline constexpr std::size_t kWord36 = 36;  // DataSN, R2TSN, ExpDataSN
inline constexpr std::size_t kWord40 = 40;  // a buffer offset
inline constexpr std::size_t kWord44 = 44;  // a residual count or length
}  // namespace offset

/// The bits of byte 1.
namespace flag {
inline constexpr std::uint8_t kFinal = 0x80;     // also Transit
inline constexpr std::uint8_t kContinue = 0x40;  // Text and Login
inline constexpr std::uint8_t kRead = 0x40;
inline constexpr std::uint8_t kWrite = 0x20;
inline constexpr std::uint8_t kAcknowledge = 0x40;
inline constexpr std::uint8_t kBidiOverflow = 0x10;
inline constexpr std::uint8_t kBidiUnderflow = 0x08;
inline constexpr std::uint8_t kOverflow = 0x04;
inline constexpr std::uint8_t kUnderflow = 0x02;
inline constexpr std::uint8_t kStatus = 0x01;
}  // namespace flag

/// The fields that every PDU has at the same place (RFC 7143 §11.2.1). Borrows the bytes.
class BasicHeader {
 public:
  explicit BasicHeader(BhsView bytes) : bytes_(bytes) {}

  BhsView bytes() const { return bytes_; }
  Opcode opcode() const { return static_cast<Opcode>(bytes_[0] & 0x3f); }
  bool immediate() const { return (bytes_[0] & kImmediateBit) != 0; }
  bool final() const { return (bytes_[offset::kFlags] & flag::kFinal) != 0; }
  /// In bytes, not in words as on the wire.
  std::size_t total_ahs_length() const { return std::size_t{bytes_[offset::kTotalAhsLength]} * 4; }
  /// Without padding.
  std::uint32_t data_segment_length() const { return get_be24(bytes_, offset::kDataSegmentLength); }
  LunField lun() const { return LunField{get_be64(bytes_, offset::kLun)}; }
  std::uint32_t initiator_task_tag() const { return get_be32(bytes_, offset::kInitiatorTaskTag); }

  static constexpr std::uint8_t kImmediateBit = 0x40;

 private:
  BhsView bytes_;
};

/// Clears `out` and writes what every PDU has: opcode, immediate bit, byte 1 and DataSegmentLength.
inline void begin_bhs(BhsSpan out, Opcode opcode, bool immediate, std::uint8_t flags,
                      std::uint32_t data_segment_length) {
  std::ranges::fill(out, std::uint8_t{0});
  out[0] = static_cast<std::uint8_t>(static_cast<unsigned>(opcode) |
                                     (immediate ? unsigned{BasicHeader::kImmediateBit} : 0u));
  out[offset::kFlags] = flags;
  put_be24(out, offset::kDataSegmentLength, data_segment_length);
}

/// The three numbers that every response carries (RFC 7143 §11.4.8 to §11.4.10).
inline void put_numbers(BhsSpan out, StatSn stat_sn, CmdSn exp_cmd_sn, CmdSn max_cmd_sn) {
  put_be32(out, offset::kStatSn, stat_sn.value);
  put_be32(out, offset::kExpCmdSn, exp_cmd_sn.value);
  put_be32(out, offset::kMaxCmdSn, max_cmd_sn.value);
}

/// `bit` or nothing.
constexpr std::uint8_t bit_if(bool set, std::uint8_t bit) {
  return set ? bit : std::uint8_t{0};
}

/// SCSI Command (RFC 7143 §11.3).
struct ScsiCommand {
  bool immediate = false;
  bool final = true;  // no unsolicited Data-Out PDUs follow
  bool read = false;
  bool write = false;
  Attribute attribute = Attribute::kSimple;
  LunField lun;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t expected_data_transfer_length = 0;
  CmdSn cmd_sn;
  StatSn exp_stat_sn;
  std::array<std::uint8_t, 16> cdb{};     // the first 16 bytes; the rest is in an AHS
  std::uint32_t data_segment_length = 0;  // immediate data
  std::uint8_t total_ahs_words = 0;       // TotalAHSLength

  bool operator==(const ScsiCommand&) const = default;

  /// Errors: a reserved task attribute; a command without W that announces unsolicited data; the reserved task tag.
  static Decoded<ScsiCommand> decode(BhsView in) {
    const BasicHeader header(in);
    const std::uint8_t flags = in[offset::kFlags];
    ScsiCommand pdu;
    pdu.immediate = header.immediate();
    pdu.final = (flags & flag::kFinal) != 0;
    pdu.read = (flags & flag::kRead) != 0;
    pdu.write = (flags & flag::kWrite) != 0;
    pdu.attribute = static_cast<Attribute>(flags & 0x07);
    pdu.lun = header.lun();
    pdu.initiator_task_tag = header.initiator_task_tag();
    pdu.expected_data_transfer_length = get_be32(in, offset::kWord20);
    pdu.cmd_sn = CmdSn(get_be32(in, offset::kCmdSn));
    pdu.exp_stat_sn = StatSn(get_be32(in, offset::kExpStatSn));
    std::memcpy(pdu.cdb.data(), in.data() + offset::kCdb, pdu.cdb.size());
    pdu.data_segment_length = header.data_segment_length();
    pdu.total_ahs_words = in[offset::kTotalAhsLength];
    if (pdu.attribute > Attribute::kAca) [[unlikely]] {
      return malformed(RejectReason::kInvalidPduField, "ATTR has a reserved value");
    }
    if (!pdu.final && !pdu.write) [[unlikely]] {
      return malformed(RejectReason::kInvalidPduField, "F is 0 though W is 0");
    }
    if (pdu.initiator_task_tag == kReservedTag) [[unlikely]] {
      return malformed(RejectReason::kInvalidPduField, "Initiator Task Tag is the reserved value");
    }
    return pdu;
  }

  void encode(BhsSpan out) const {
    const auto flags = static_cast<std::uint8_t>(bit_if(final, flag::kFinal) | bit_if(read, flag::kRead) |
                                                 bit_if(write, flag::kWrite) | static_cast<unsigned>(attribute));
    begin_bhs(out, Opcode::kScsiCommand, immediate, flags, data_segment_length);
    out[offset::kTotalAhsLength] = total_ahs_words;
    put_be64(out, offset::kLun, lun.value);
    put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
    put_be32(out, offset::kWord20, expected_data_transfer_length);
    put_be32(out, offset::kCmdSn, cmd_sn.value);
    put_be32(out, offset::kExpStatSn, exp_stat_sn.value);
    std::memcpy(out.data() + offset::kCdb, cdb.data(), cdb.size());
  }
};

/// SCSI Response (RFC 7143 §11.4). With CHECK CONDITION its data segment is SenseLength (2 bytes), sense data
/// (§11.4.7).
struct ScsiResponse {
  bool bidi_overflow = false;
  bool bidi_underflow = false;
  bool overflow = false;
  bool underflow = false;
  ServiceResponse response = ServiceResponse::kCompletedAtTarget;
  std::uint8_t status = 0;  // SCSI status
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t snack_tag = 0;
  StatSn stat_sn;
  CmdSn exp_cmd_sn;
  CmdSn max_cmd_sn;
  std::uint32_t exp_data_sn = 0;  // how many Data-In and R2T PDUs were sent for the command
  std::uint32_t bidi_residual_count = 0;
  std::uint32_t residual_count = 0;
  std::uint32_t data_segment_length = 0;

  bool operator==(const ScsiResponse&) const = default;

  /// Errors: overflow and underflow at once (RFC 7143 §11.4.1).
  static Decoded<ScsiResponse> decode(BhsView in) {
    const BasicHeader header(in);
    const std::uint8_t flags = in[offset::kFlags];
    ScsiResponse pdu;
    pdu.bidi_overflow = (flags & flag::kBidiOverflow) != 0;
    pdu.bidi_underflow = (flags & flag::kBidiUnderflow) != 0;
    pdu.overflow = (flags & flag::kOverflow) != 0;
    pdu.underflow = (flags & flag::kUnderflow) != 0;
    pdu.response = static_cast<ServiceResponse>(in[offset::kByte2]);
    pdu.status = in[offset::kByte3];
    pdu.initiator_task_tag = header.initiator_task_tag();
    pdu.snack_tag = get_be32(in, offset::kWord20);
    pdu.stat_sn = StatSn(get_be32(in, offset::kStatSn));
    pdu.exp_cmd_sn = CmdSn(get_be32(in, offset::kExpCmdSn));
    pdu.max_cmd_sn = CmdSn(get_be32(in, offset::kMaxCmdSn));
    pdu.exp_data_sn = get_be32(in, offset::kWord36);
    pdu.bidi_residual_count = get_be32(in, offset::kWord40);
    pdu.residual_count = get_be32(in, offset::kWord44);
    pdu.data_segment_length = header.data_segment_length();
    if ((pdu.overflow && pdu.underflow) || (pdu.bidi_overflow && pdu.bidi_underflow)) [[unlikely]] {
      return malformed(RejectReason::kProtocolError, "overflow and underflow are both set");
    }
    return pdu;
  }

  void encode(BhsSpan out) const {
    const auto flags = static_cast<std::uint8_t>(
        flag::kFinal | bit_if(bidi_overflow, flag::kBidiOverflow) | bit_if(bidi_underflow, flag::kBidiUnderflow) |
        bit_if(overflow, flag::kOverflow) | bit_if(underflow, flag::kUnderflow));
    begin_bhs(out, Opcode::kScsiResponse, false, flags, data_segment_length);
    out[offset::kByte2] = static_cast<std::uint8_t>(response);
    out[offset::kByte3] = status;
    put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
    put_be32(out, offset::kWord20, snack_tag);
    put_numbers(out, stat_sn, exp_cmd_sn, max_cmd_sn);
    put_be32(out, offset::kWord36, exp_data_sn);
    put_be32(out, offset::kWord40, bidi_residual_count);
    put_be32(out, offset::kWord44, residual_count);
  }
};

/// SCSI Data-Out (RFC 7143 §11.7): data of a write, unsolicited or as an R2T asked for it.
struct DataOut {
  bool final = false;  // the last of its sequence
  LunField lun;        // of the R2T; reserved in unsolicited data
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t target_transfer_tag = kReservedTag;  // of the R2T; kReservedTag: unsolicited
  StatSn exp_stat_sn;
  std::uint32_t data_sn = 0;
  std::uint32_t buffer_offset = 0;
  std::uint32_t data_segment_length = 0;

  bool operator==(const DataOut&) const = default;

  /// Errors: the reserved task tag; data that would end past 2^32.
  static Decoded<DataOut> decode(BhsView in) {
    const BasicHeader header(in);
    DataOut pdu;
    pdu.final = header.final();
    pdu.lun = header.lun();
    pdu.initiator_task_tag = header.initiator_task_tag();
    pdu.target_transfer_tag = get_be32(in, offset::kWord20);
    pdu.exp_stat_sn = StatSn(get_be32(in, offset::kExpStatSn));
    pdu.data_sn = get_be32(in, offset::kWord36);
    pdu.buffer_offset = get_be32(in, offset::kWord40);
    pdu.data_segment_length = header.data_segment_length();
    if (pdu.initiator_task_tag == kReservedTag) [[unlikely]] {
      return malformed(RejectReason::kInvalidPduField, "Initiator Task Tag is the reserved value");
    }
    if (std::uint64_t{pdu.buffer_offset} + pdu.data_segment_length > 0xffffffffu) [[unlikely]] {
      return malformed(RejectReason::kInvalidPduField, "Buffer Offset and DataSegmentLength exceed any transfer");
    }
    return pdu;
  }

  void encode(BhsSpan out) const {
    begin_bhs(out, Opcode::kDataOut, false, bit_if(final, flag::kFinal), data_segment_length);
    put_be64(out, offset::kLun, lun.value);
    put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
    put_be32(out, offset::kWord20, target_transfer_tag);
    put_be32(out, offset::kExpStatSn, exp_stat_sn.value);
    put_be32(out, offset::kWord36, data_sn);
    put_be32(out, offset::kWord40, buffer_offset);
  }
};

/// SCSI Data-In (RFC 7143 §11.7): data of a read; with `status_present` also the status (phase collapse).
struct DataIn {
  bool final = false;
  bool acknowledge = false;  // asks for a DataACK SNACK: error recovery level 1 and above
  bool overflow = false;     // this and the next two only with status_present
  bool underflow = false;
  bool status_present = false;
  std::uint8_t status = 0;
  LunField lun;  // only with `acknowledge`
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t target_transfer_tag = kReservedTag;  // a value only with `acknowledge`
  StatSn stat_sn;                                    // only with status_present
  CmdSn exp_cmd_sn;
  CmdSn max_cmd_sn;
  std::uint32_t data_sn = 0;
  std::uint32_t buffer_offset = 0;
  std::uint32_t residual_count = 0;
  std::uint32_t data_segment_length = 0;

  bool operator==(const DataIn&) const = default;

  /// Errors: a status before the final PDU; overflow and underflow at once; data that would end past 2^32.
  static Decoded<DataIn> decode(BhsView in) {
    const BasicHeader header(in);
    const std::uint8_t flags = in[offset::kFlags];
    DataIn pdu;
    pdu.final = (flags & flag::kFinal) != 0;
    pdu.acknowledge = (flags & flag::kAcknowledge) != 0;
    pdu.overflow = (flags & flag::kOverflow) != 0;
    pdu.underflow = (flags & flag::kUnderflow) != 0;
    pdu.status_present = (flags & flag::kStatus) != 0;
    pdu.status = in[offset::kByte3];
    pdu.lun = header.lun();
    pdu.initiator_task_tag = header.initiator_task_tag();
    pdu.target_transfer_tag = get_be32(in, offset::kWord20);
    pdu.stat_sn = StatSn(get_be32(in, offset::kStatSn));
    pdu.exp_cmd_sn = CmdSn(get_be32(in, offset::kExpCmdSn));
    pdu.max_cmd_sn = CmdSn(get_be32(in, offset::kMaxCmdSn));
    pdu.data_sn = get_be32(in, offset::kWord36);
    pdu.buffer_offset = get_be32(in, offset::kWord40);
    pdu.residual_count = get_be32(in, offset::kWord44);
    pdu.data_segment_length = header.data_segment_length();
    if (pdu.status_present && !pdu.final) [[unlikely]] {
      return malformed(RejectReason::kProtocolError, "S is 1 though F is 0");
    }
    if (pdu.overflow && pdu.underflow) [[unlikely]] {
      return malformed(RejectReason::kProtocolError, "overflow and underflow are both set");
    }
    if (std::uint64_t{pdu.buffer_offset} + pdu.data_segment_length > 0xffffffffu) [[unlikely]] {
      return malformed(RejectReason::kInvalidPduField, "Buffer Offset and DataSegmentLength exceed any transfer");
    }
    return pdu;
  }

  void encode(BhsSpan out) const {
    const auto flags = static_cast<std::uint8_t>(
        bit_if(final, flag::kFinal) | bit_if(acknowledge, flag::kAcknowledge) | bit_if(overflow, flag::kOverflow) |
        bit_if(underflow, flag::kUnderflow) | bit_if(status_present, flag::kStatus));
    begin_bhs(out, Opcode::kDataIn, false, flags, data_segment_length);
    out[offset::kByte3] = status;
    put_be64(out, offset::kLun, lun.value);
    put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
    put_be32(out, offset::kWord20, target_transfer_tag);
    put_numbers(out, stat_sn, exp_cmd_sn, max_cmd_sn);
    put_be32(out, offset::kWord36, data_sn);
    put_be32(out, offset::kWord40, buffer_offset);
    put_be32(out, offset::kWord44, residual_count);
  }
};

/// Ready To Transfer (RFC 7143 §11.8): the target asks for a part of a write's data.
struct R2t {
  LunField lun;
  std::uint32_t initiator_task_tag = 0;
  std::uint32_t target_transfer_tag = 0;  // the initiator copies it, and `lun`, to the Data-Out PDUs
  StatSn stat_sn;                         // the next one; an R2T does not use it up
  CmdSn exp_cmd_sn;
  CmdSn max_cmd_sn;
  std::uint32_t r2t_sn = 0;
  std::uint32_t buffer_offset = 0;
  std::uint32_t desired_data_transfer_length = 0;  // 1 to MaxBurstLength

  bool operator==(const R2t&) const = default;

  /// Errors: nothing asked for; the reserved transfer tag; data that would end past 2^32.
  static Decoded<R2t> decode(BhsView in) {
    const BasicHeader header(in);
    R2t pdu;
    pdu.lun = header.lun();
    pdu.initiator_task_tag = header.initiator_task_tag();
    pdu.target_transfer_tag = get_be32(in, offset::kWord20);
    pdu.stat_sn = StatSn(get_be32(in, offset::kStatSn));
    pdu.exp_cmd_sn = CmdSn(get_be32(in, offset::kExpCmdSn));
    pdu.max_cmd_sn = CmdSn(get_be32(in, offset::kMaxCmdSn));
    pdu.r2t_sn = get_be32(in, offset::kWord36);
    pdu.buffer_offset = get_be32(in, offset::kWord40);
    pdu.desired_data_transfer_length = get_be32(in, offset::kWord44);
    if (pdu.desired_data_transfer_length == 0) [[unlikely]] {
      return malformed(RejectReason::kProtocolError, "Desired Data Transfer Length is 0");
    }
    if (pdu.target_transfer_tag == kReservedTag) [[unlikely]] {
      return malformed(RejectReason::kProtocolError, "Target Transfer Tag is the reserved value");
    }
    if (std::uint64_t{pdu.buffer_offset} + pdu.desired_data_transfer_length > 0xffffffffu) [[unlikely]] {
      return malformed(RejectReason::kProtocolError, "Buffer Offset and length exceed any transfer");
    }
    return pdu;
  }

  void encode(BhsSpan out) const {
    begin_bhs(out, Opcode::kR2t, false, flag::kFinal, 0);
    put_be64(out, offset::kLun, lun.value);
    put_be32(out, offset::kInitiatorTaskTag, initiator_task_tag);
    put_be32(out, offset::kWord20, target_transfer_tag);
    put_numbers(out, stat_sn, exp_cmd_sn, max_cmd_sn);
    put_be32(out, offset::kWord36, r2t_sn);
    put_be32(out, offset::kWord40, buffer_offset);
    put_be32(out, offset::kWord44, desired_data_transfer_length);
  }
};

/// What the Additional Header Segments of a SCSI Command say (RFC 7143 §11.2.2). Borrows the bytes.
struct AdditionalHeaders {
  ByteView extended_cdb;  // what follows the 16 bytes of the BHS; empty: none (§11.2.2.3)
  std::optional<std::uint32_t> expected_bidi_read_length;  // §11.2.2.4
};

/// Walks the AHS of a PDU; `bytes` is all TotalAHSLength bytes of it. Errors: a segment that is longer than what is
/// there, of an unknown type, of a wrong length for its type, or given twice; a CDB longer than limits::kMaxCdbBytes.
Decoded<AdditionalHeaders> decode_ahs(ByteView bytes);

/// Writes the Extended CDB AHS for `rest`, the bytes of a CDB after the first 16 (1 to 244 of them), to `out`, which
/// has room for limits::kAhsBytes; returns the number of bytes written, a multiple of four.
std::size_t encode_extended_cdb(ByteView rest, ByteSpan out);

}  // namespace peerlane::iscsi
