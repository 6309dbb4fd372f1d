#include "target/command_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "scsi/sense_codes.h"
#include "target/command_rows_blocks.h"
#include "target/command_rows_copy.h"
#include "target/command_rows_maintenance.h"
#include "target/command_rows_medium.h"
#include "target/command_rows_mode.h"
#include "target/command_rows_primary.h"
#include "target/command_rows_provisioning.h"
#include "target/command_rows_reservation.h"

namespace peerlane::target {
namespace {

using Op = scsi::OperationCode;

constexpr std::uint8_t operation_code(const CommandDescription& row) {
  return static_cast<std::uint8_t>(row.operation);
}

/// All rows, in order of operation code and service action, with NACA allowed in the control byte.
template <std::size_t... Sizes>
constexpr auto make_table(const CommandDescription (&... groups)[Sizes]) {
  std::array<CommandDescription, (Sizes + ...)> table;
  auto* next = table.data();
  ((next = std::copy_n(groups, Sizes, next)), ...);
  std::ranges::sort(table, {}, [](const CommandDescription& row) {
    return static_cast<unsigned>(operation_code(row)) << 16 | row.service_action.value_or(0);
  });
  for (CommandDescription& row : table) row.usage[row.control_byte()] |= scsi::kNaca;
  return table;
}
constexpr auto kTable = make_table(rows::kPrimary, rows::kMaintenance, rows::kMode, rows::kBlocks, rows::kProvisioning,
                                   rows::kMedium, rows::kReservation, rows::kCopy);

constexpr std::size_t kRows = kTable.size();
constexpr std::uint8_t kNoRow = 0xff;
static_assert(kRows < kNoRow);

/// The first row of each operation code.
constexpr std::array<std::uint8_t, 256> make_index() {
  std::array<std::uint8_t, 256> index{};
  index.fill(kNoRow);
  for (std::size_t row = kRows; row-- > 0;) index[operation_code(kTable[row])] = static_cast<std::uint8_t>(row);
  return index;
}
constexpr std::array<std::uint8_t, 256> kIndex = make_index();

// Where the service action stands: five bits of byte 1, or two bytes of a variable length CDB (SPC-4 §4.2.3).
constexpr std::uint8_t kServiceActionMask = 0x1f;
constexpr std::uint8_t kServiceActionBit = 4;  // its most significant bit in byte 1
constexpr std::size_t kAdditionalLengthByte = 7;
constexpr std::size_t kVariableServiceAction = 8;

/// The bits that a CDB must not have, in words in memory order, so that checking a short CDB is two operations.
using ShortCdb = std::array<std::uint64_t, 2>;
using LongCdb = std::array<std::uint64_t, 4>;
constexpr LongCdb forbidden_bits(const CommandDescription& row) {
  std::array<std::uint8_t, sizeof(LongCdb)> forbidden{};
  for (std::size_t i = 1; i < row.cdb_length(); ++i) forbidden[i] = static_cast<std::uint8_t>(~row.usage[i]);
  if (row.operation == Op::kVariableLength) {
    forbidden[kAdditionalLengthByte] = forbidden[kVariableServiceAction] = forbidden[kVariableServiceAction + 1] = 0;
  } else if (row.service_action) {
    forbidden[1] = static_cast<std::uint8_t>(forbidden[1] & ~kServiceActionMask);
  }
  return std::bit_cast<LongCdb>(forbidden);
}
constexpr std::array<LongCdb, kRows> make_forbidden() {
  std::array<LongCdb, kRows> all{};
  for (std::size_t row = 0; row < kRows; ++row) all[row] = forbidden_bits(kTable[row]);
  return all;
}
constexpr std::array<LongCdb, kRows> kForbidden = make_forbidden();

template <typename Cdb>
std::optional<scsi::Sense> check_bits(ByteView cdb, const LongCdb& forbidden) {
  Cdb words{};
  std::memcpy(words.data(), cdb.data(), sizeof words);
  std::uint64_t any = 0;
  for (std::size_t i = 0; i < words.size(); ++i) any |= words[i] &= forbidden[i];
  if (any == 0) return std::nullopt;
  const auto bytes = std::bit_cast<std::array<std::uint8_t, sizeof(Cdb)>>(words);
  std::size_t byte = 0;
  while (bytes[byte] == 0) ++byte;
  return scsi::invalid_field_in_cdb(byte, static_cast<std::uint8_t>(std::bit_width(bytes[byte]) - 1));
}

std::expected<const CommandDescription*, scsi::Sense> find_variable_length(ByteView cdb) {
  if (cdb.size() < scsi::kVariableLengthCdbBytes) {
    // It came without its additional header segment.
    return std::unexpected(scsi::illegal_request(scsi::sense_codes::kInvalidFieldInCommandInformationUnit));
  }
  if (cdb[kAdditionalLengthByte] != scsi::kAdditionalCdbLength) {
    return std::unexpected(scsi::invalid_field_in_cdb(kAdditionalLengthByte));
  }
  const auto* found = find_command(cdb[0], get_be16(cdb, kVariableServiceAction));
  if (found == nullptr) return std::unexpected(scsi::invalid_field_in_cdb(kVariableServiceAction));
  return found;
}

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
  if (kTable[row].operation == Op::kVariableLength) return find_variable_length(cdb);
  const auto* found = find_command(cdb[0], static_cast<std::uint16_t>(cdb[1] & kServiceActionMask));
  if (found == nullptr) return std::unexpected(scsi::invalid_field_in_cdb(1, kServiceActionBit));
  return found;
}

std::optional<scsi::Sense> check_cdb(const CommandDescription& description, ByteView cdb) {
  const LongCdb& forbidden = kForbidden[static_cast<std::size_t>(&description - kTable.data())];
  if (description.operation == Op::kVariableLength) return check_bits<LongCdb>(cdb, forbidden);
  return check_bits<ShortCdb>(cdb, forbidden);
}

}  // namespace peerlane::target
