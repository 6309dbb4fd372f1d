// What RECEIVE COPY and its kin tell of a copy operation (SPC-4 §6.20 to §6.25), and the tokens that it made (§6.28,
// §6.31).
//
// Encoders write whole parameter data, which the device server cuts to the allocation length. Decoders take data that
// may be cut short, and give nothing if what they name is not there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "scsi/opcodes.h"
#include "scsi/rod_token.h"

namespace peerlane::scsi {

/// TRANSFER COUNT UNITS.
enum class TransferUnits : std::uint8_t {
  kBytes = 0x00,
  kKibibytes = 0x01,
  kMebibytes = 0x02,
  kGibibytes = 0x03,
  kTebibytes = 0x04,
  kPebibytes = 0x05,
  kExbibytes = 0x06,
  kBlocks = 0xf1,  // logical blocks of the copy destination; of the copy source for POPULATE TOKEN
};

/// The bytes that a transfer count stands for; as many as 64 bits hold at most. Nothing for blocks, and unknown units.
std::optional<std::uint64_t> transferred_bytes(TransferUnits units, std::uint64_t count);

// --- RECEIVE COPY STATUS(LID1) (SPC-4 §6.25) ---

/// COPY COMMAND STATUS.
enum class CopyCommandStatus : std::uint8_t { kInProgress = 0, kDone = 1, kFailed = 2 };

struct CopyStatusLid1 {
  bool held_data_discarded = false;  // HDD
  CopyCommandStatus status = CopyCommandStatus::kInProgress;
  std::uint16_t segments = 0;  // SEGMENTS PROCESSED
  TransferUnits units = TransferUnits::kBytes;
  std::uint32_t count = 0;  // TRANSFER COUNT

  friend bool operator==(const CopyStatusLid1&, const CopyStatusLid1&) = default;
};

/// Sets units and count for so many bytes: the finest units in which the count fits, rounded down.
void set_transferred(CopyStatusLid1& status, std::uint64_t bytes);

std::vector<std::uint8_t> encode_copy_status(const CopyStatusLid1& status);
std::optional<CopyStatusLid1> decode_copy_status_lid1(ByteView bytes);

// --- RECEIVE COPY FAILURE DETAILS(LID1) (SPC-4 §6.22) ---

/// How a copy failed.
struct CopyFailure {
  std::uint8_t status = 0;               // EXTENDED COPY COMMAND STATUS, a scsi::Status
  std::vector<std::uint8_t> sense = {};  // at most kMaxSenseBytes

  friend bool operator==(const CopyFailure&, const CopyFailure&) = default;
};

/// Nothing: that copy did not fail, or nobody knows.
std::vector<std::uint8_t> encode_copy_failure(const std::optional<CopyFailure>& failure);
std::optional<CopyFailure> decode_copy_failure(ByteView bytes);

// --- RECEIVE COPY DATA(LID1) (SPC-4 §6.21) ---

std::vector<std::uint8_t> encode_held_data(ByteView held);
/// The held data as far as they are there, which borrow from `bytes`.
std::optional<ByteView> decode_held_data(ByteView bytes);

// --- RECEIVE COPY STATUS(LID4) (SPC-4 §6.24), and what the data of others begin with ---

/// COPY OPERATION STATUS.
enum class CopyOperationStatus : std::uint8_t {
  kDone = 0x01,
  kFailed = 0x02,
  kDoneTokenPartlyUsed = 0x03,  // without errors, but the token stands for more than was written
  kDoneResidual = 0x04,         // without errors, but not all of it
  kInProgress = 0x10,           // in foreground or background
  kInForeground = 0x11,
  kInBackground = 0x12,
  kTerminated = 0x60,  // aborted, or by the loss of a reservation
};

/// Whether it is one of those in progress.
constexpr bool in_progress(CopyOperationStatus status) {
  return status >= CopyOperationStatus::kInProgress && status <= CopyOperationStatus::kInBackground;
}

/// ESTIMATED STATUS UPDATE DELAY of a copy that has ended, and of one whose copy manager does not know.
inline constexpr std::uint32_t kUpdateDelayEnded = 0xffff'fffe;
inline constexpr std::uint32_t kUpdateDelayUnknown = 0xffff'ffff;

struct CopyStatus {
  std::uint8_t service_action = kExtendedCopyLid4;  // RESPONSE TO SERVICE ACTION: of the command that began the copy
  bool held_data_discarded = false;                 // HDD, of RECEIVE COPY DATA(LID4) only
  CopyOperationStatus status = CopyOperationStatus::kInProgress;
  std::uint16_t operations = 0;                      // OPERATION COUNTER: changes as long as there is progress
  std::uint32_t update_delay = kUpdateDelayUnknown;  // ESTIMATED STATUS UPDATE DELAY, milliseconds
  std::uint8_t completion = 0;                       // EXTENDED COPY COMPLETION STATUS, a scsi::Status
  TransferUnits units = TransferUnits::kBytes;
  std::uint64_t count = 0;               // TRANSFER COUNT
  std::uint16_t segments = 0;            // SEGMENTS PROCESSED
  std::vector<std::uint8_t> sense = {};  // of the copy; at most kMaxSenseBytes

  friend bool operator==(const CopyStatus&, const CopyStatus&) = default;
};

std::vector<std::uint8_t> encode_copy_status(const CopyStatus& status);
/// Takes the data of the two commands below as well.
std::optional<CopyStatus> decode_copy_status(ByteView bytes);

// --- RECEIVE COPY DATA(LID4) (SPC-4 §6.20) ---

std::vector<std::uint8_t> encode_copy_data(const CopyStatus& status, ByteView held);
/// The held data as far as they are there, which borrow from `bytes`.
std::optional<ByteView> decode_copy_data(ByteView bytes);

// --- RECEIVE ROD TOKEN INFORMATION (SPC-4 §6.28, SBC-3 §5.24) ---

/// A token that a copy made, and for which ROD: its CSCD descriptor ID, 0 after POPULATE TOKEN.
struct MadeToken {
  std::uint16_t cscd = 0;
  RodTokenBytes token = {};

  friend bool operator==(const MadeToken&, const MadeToken&) = default;
};

std::vector<std::uint8_t> encode_rod_token_information(const CopyStatus& status, std::span<const MadeToken> tokens);
/// The tokens of kRodTokenBytes in those data, up to the first that is cut off. Nothing if not even their list's length
/// is there.
std::optional<std::vector<MadeToken>> decode_rod_token_information(ByteView bytes);

// --- REPORT ALL ROD TOKENS (SPC-4 §6.31) ---

using RodManagementToken = std::array<std::uint8_t, kRodManagementTokenBytes>;

/// What may be told of a token: its first bytes, not those that make it a secret.
RodManagementToken management_token(const RodTokenBytes& token);

std::vector<std::uint8_t> encode_all_rod_tokens(std::span<const RodManagementToken> tokens);
std::optional<std::vector<RodManagementToken>> decode_all_rod_tokens(ByteView bytes);

}  // namespace peerlane::scsi
