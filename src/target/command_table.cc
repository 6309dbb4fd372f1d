#include "target/command_table.h"

#include <bit>
#include <cstring>

#include "base/limits.h"
#include "scsi/sense_codes.h"
#include "target/commands.h"

namespace peerlane::target {
namespace {

using Op = scsi::OperationCode;

constexpr unsigned kReadsMedium = kNeedsStarted | kNeedsBlocks;
constexpr unsigned kWritesMedium = kNeedsStarted | kNeedsBlocks | kNeedsWriteAccess;

// Transfer limits stated in the block limits page.
constexpr std::uint64_t kTransfer = limits::kMaxTransferBytes;
constexpr std::uint64_t kWriteSame = limits::kMaxWriteSameBytes;
constexpr std::uint64_t kVerify = limits::kMaxVerifyBytes;

// GROUP NUMBER fields are allowed and ignored: grouping is only about statistics. Byte 1 of SYNCHRONIZE CACHE may have
// the SYNC_NV bit of older standards, which asks for less than is done. READ CAPACITY(10) may have the address and PMI
// bit of older standards. The control byte is all zeroes everywhere: NACA is not supported, the rest is reserved or
// obsolete.
constexpr CommandDescription kTable[] = {
    {.operation = Op::kTestUnitReady,
     .name = "TEST UNIT READY",
     .needs = kNeedsStarted,
     .answer = test_unit_ready,
     .usage = {0x00}},
    {.operation = Op::kRequestSense,
     .name = "REQUEST SENSE",
     .needs = kDespiteAttention,
     .direction = DataDirection::kIn,
     .allocation_length = {4, 1},
     .answer = request_sense,
     .usage = {0x03, 0x01, 0x00, 0x00, 0xff, 0x00}},
    {.operation = Op::kRead6,
     .name = "READ(6)",
     .needs = kReadsMedium,
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .most_bytes = kTransfer,
     .work = read_blocks,
     .usage = {0x08, 0x1f, 0xff, 0xff, 0xff, 0x00}},
    {.operation = Op::kWrite6,
     .name = "WRITE(6)",
     .needs = kWritesMedium,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .most_bytes = kTransfer,
     .work = write_blocks,
     .usage = {0x0a, 0x1f, 0xff, 0xff, 0xff, 0x00}},
    {.operation = Op::kInquiry,
     .name = "INQUIRY",
     .needs = kDespiteAttention,
     .direction = DataDirection::kIn,
     .allocation_length = {3, 2},
     .answer = inquiry,
     .usage = {0x12, 0x01, 0xff, 0xff, 0xff, 0x00}},
    {.operation = Op::kModeSense6,
     .name = "MODE SENSE(6)",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {4, 1},
     .answer = mode_sense_6,
     .usage = {0x1a, 0x08, 0xff, 0xff, 0xff, 0x00}},
    {.operation = Op::kStartStopUnit,
     .name = "START STOP UNIT",
     .reservation = ReservationClass::kWrite,
     .work = start_stop_unit,
     .usage = {0x1b, 0x01, 0x00, 0x0f, 0xf7, 0x00}},
    {.operation = Op::kReadCapacity10,
     .name = "READ CAPACITY(10)",
     .needs = kNeedsStarted,
     .direction = DataDirection::kIn,
     .answer = read_capacity_10,
     .usage = {0x25, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x01, 0x00}},
    {.operation = Op::kRead10,
     .name = "READ(10)",
     .needs = kReadsMedium,
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .most_bytes = kTransfer,
     .work = read_blocks,
     .usage = {0x28, 0x18, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x00}},
    {.operation = Op::kWrite10,
     .name = "WRITE(10)",
     .needs = kWritesMedium,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .most_bytes = kTransfer,
     .work = write_blocks,
     .usage = {0x2a, 0x18, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x00}},
    {.operation = Op::kWriteAndVerify10,
     .name = "WRITE AND VERIFY(10)",
     .needs = kWritesMedium,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .most_bytes = kTransfer,
     .work = write_and_verify_blocks,
     .usage = {0x2e, 0x16, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x00}},
    {.operation = Op::kVerify10,
     .name = "VERIFY(10)",
     .needs = kReadsMedium,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kRead,
     .most_bytes = kVerify,
     .work = verify_blocks,
     .usage = {0x2f, 0x16, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x00}},
    {.operation = Op::kSynchronizeCache10,
     .name = "SYNCHRONIZE CACHE(10)",
     .needs = kReadsMedium | kZeroMeansRest,
     .reservation = ReservationClass::kWrite,
     .work = synchronize_cache,
     .usage = {0x35, 0x06, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x00}},
    {.operation = Op::kWriteSame10,
     .name = "WRITE SAME(10)",
     .needs = kWritesMedium | kZeroMeansRest,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .most_bytes = kWriteSame,
     .work = write_same,
     .usage = {0x41, 0x08, 0xff, 0xff, 0xff, 0xff, 0x3f, 0xff, 0xff, 0x00}},
    {.operation = Op::kUnmap,
     .name = "UNMAP",
     .needs = kNeedsStarted | kNeedsWriteAccess | kNeedsUnmap,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .work = unmap_blocks,
     .usage = {0x42, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3f, 0xff, 0xff, 0x00}},
    {.operation = Op::kModeSense10,
     .name = "MODE SENSE(10)",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {7, 2},
     .answer = mode_sense_10,
     .usage = {0x5a, 0x18, 0xff, 0xff, 0x00, 0x00, 0x00, 0xff, 0xff, 0x00}},
    {.operation = Op::kRead16,
     .name = "READ(16)",
     .needs = kReadsMedium,
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .most_bytes = kTransfer,
     .work = read_blocks,
     .usage = {0x88, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00}},
    {.operation = Op::kWrite16,
     .name = "WRITE(16)",
     .needs = kWritesMedium,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .most_bytes = kTransfer,
     .work = write_blocks,
     .usage = {0x8a, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00}},
    {.operation = Op::kWriteAndVerify16,
     .name = "WRITE AND VERIFY(16)",
     .needs = kWritesMedium,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .most_bytes = kTransfer,
     .work = write_and_verify_blocks,
     .usage = {0x8e, 0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00}},
    {.operation = Op::kVerify16,
     .name = "VERIFY(16)",
     .needs = kReadsMedium,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kRead,
     .most_bytes = kVerify,
     .work = verify_blocks,
     .usage = {0x8f, 0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00}},
    {.operation = Op::kSynchronizeCache16,
     .name = "SYNCHRONIZE CACHE(16)",
     .needs = kReadsMedium | kZeroMeansRest,
     .reservation = ReservationClass::kWrite,
     .work = synchronize_cache,
     .usage = {0x91, 0x06, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00}},
    {.operation = Op::kWriteSame16,
     .name = "WRITE SAME(16)",
     .needs = kWritesMedium | kZeroMeansRest,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .most_bytes = kWriteSame,
     .work = write_same,
     .usage = {0x93, 0x09, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00}},
    {.operation = Op::kServiceActionIn16,
     .service_action = scsi::kReadCapacity16,
     .name = "READ CAPACITY(16)",
     .needs = kNeedsStarted,
     .direction = DataDirection::kIn,
     .allocation_length = {10, 4},
     .answer = read_capacity_16,
     .usage = {0x9e, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00}},
    {.operation = Op::kServiceActionIn16,
     .service_action = scsi::kGetLbaStatus,
     .name = "GET LBA STATUS(16)",
     .needs = kNeedsStarted | kNeedsUnmap,
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {10, 4},
     .work = get_lba_status,
     .usage = {0x9e, 0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00}},
    {.operation = Op::kReportLuns,
     .name = "REPORT LUNS",
     .needs = kDespiteAttention,
     .direction = DataDirection::kIn,
     .allocation_length = {6, 4},
     .answer = report_luns,
     .usage = {0xa0, 0x00, 0xff, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00}},
    {.operation = Op::kMaintenanceIn,
     .service_action = scsi::kReportSupportedOperationCodes,
     .name = "REPORT SUPPORTED OPERATION CODES",
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .allocation_length = {6, 4},
     .answer = report_supported_operation_codes,
     .usage = {0xa3, 0x0c, 0x87, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x00, 0x00}},
    {.operation = Op::kRead12,
     .name = "READ(12)",
     .needs = kReadsMedium,
     .direction = DataDirection::kIn,
     .reservation = ReservationClass::kRead,
     .most_bytes = kTransfer,
     .work = read_blocks,
     .usage = {0xa8, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00}},
    {.operation = Op::kWrite12,
     .name = "WRITE(12)",
     .needs = kWritesMedium,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .most_bytes = kTransfer,
     .work = write_blocks,
     .usage = {0xaa, 0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00}},
    {.operation = Op::kWriteAndVerify12,
     .name = "WRITE AND VERIFY(12)",
     .needs = kWritesMedium,
     .direction = DataDirection::kOut,
     .reservation = ReservationClass::kWrite,
     .most_bytes = kTransfer,
     .work = write_and_verify_blocks,
     .usage = {0xae, 0x16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0x00}},
};

constexpr std::size_t kRows = std::size(kTable);
constexpr std::uint8_t kServiceActionMask = 0x1f;
constexpr std::uint8_t kServiceActionBit = 4;  // its most significant bit in byte 1
constexpr std::uint8_t kNoRow = 0xff;

constexpr std::uint8_t operation_code(const CommandDescription& row) {
  return static_cast<std::uint8_t>(row.operation);
}

/// The first row of each operation code.
constexpr std::array<std::uint8_t, 256> make_index() {
  std::array<std::uint8_t, 256> index{};
  index.fill(kNoRow);
  for (std::size_t row = kRows; row-- > 0;) index[operation_code(kTable[row])] = static_cast<std::uint8_t>(row);
  return index;
}
constexpr std::array<std::uint8_t, 256> kIndex = make_index();

/// The bits that a CDB must not have, as two words in memory order, so that checking a CDB is two operations.
using CdbWords = std::array<std::uint64_t, 2>;
constexpr CdbWords forbidden_bits(const CommandDescription& row) {
  std::array<std::uint8_t, 16> forbidden{};
  for (std::size_t i = 1; i < row.cdb_length(); ++i) forbidden[i] = static_cast<std::uint8_t>(~row.usage[i]);
  if (row.service_action) forbidden[1] = static_cast<std::uint8_t>(forbidden[1] & ~kServiceActionMask);
  return std::bit_cast<CdbWords>(forbidden);
}
constexpr std::array<CdbWords, kRows> make_forbidden() {
  std::array<CdbWords, kRows> all{};
  for (std::size_t row = 0; row < kRows; ++row) all[row] = forbidden_bits(kTable[row]);
  return all;
}
constexpr std::array<CdbWords, kRows> kForbidden = make_forbidden();

}  // namespace

std::span<const CommandDescription> command_table() {
  return kTable;
}

const CommandDescription* find_command(std::uint8_t operation_code_wanted,
                                       std::optional<std::uint16_t> service_action) {
  std::size_t row = kIndex[operation_code_wanted];
  if (row == kNoRow) return nullptr;
  if (!kTable[row].service_action || !service_action) return &kTable[row];
  for (; row < kRows && operation_code(kTable[row]) == operation_code_wanted; ++row) {
    if (*kTable[row].service_action == *service_action) return &kTable[row];
  }
  return nullptr;
}

std::expected<const CommandDescription*, scsi::Sense> find_command(ByteView cdb) {
  const std::uint8_t row = kIndex[cdb[0]];
  if (row == kNoRow) return std::unexpected(scsi::illegal_request(scsi::sense_codes::kInvalidOperationCode));
  if (!kTable[row].service_action) return &kTable[row];
  const auto* found = find_command(cdb[0], static_cast<std::uint16_t>(cdb[1] & kServiceActionMask));
  if (found == nullptr) return std::unexpected(scsi::invalid_field_in_cdb(1, kServiceActionBit));
  return found;
}

std::optional<scsi::Sense> check_cdb(const CommandDescription& description, ByteView cdb) {
  CdbWords words{};
  std::memcpy(words.data(), cdb.data(), sizeof words);
  const CdbWords& forbidden = kForbidden[static_cast<std::size_t>(&description - kTable)];
  words[0] &= forbidden[0];
  words[1] &= forbidden[1];
  if ((words[0] | words[1]) == 0) return std::nullopt;
  const auto bytes = std::bit_cast<std::array<std::uint8_t, 16>>(words);
  std::size_t byte = 0;
  while (bytes[byte] == 0) ++byte;
  return scsi::invalid_field_in_cdb(byte, static_cast<std::uint8_t>(std::bit_width(bytes[byte]) - 1));
}

}  // namespace peerlane::target
