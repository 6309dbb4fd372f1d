// The commands of a direct access block device (SPC-4 §6, SBC-4 §5), as a table. A row says what a command is, what its
// CDB may contain, what it needs and what it conflicts with, and names its handler: all that target/command_checks.h
// decides in one place for all commands. A new command is a row in one of target/command_rows_*.h and a function in
// commands.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.h"
#include "io/task.h"
#include "scsi/cdb.h"
#include "scsi/opcodes.h"
#include "scsi/sense.h"
#include "target/command.h"
#include "target/reservation_class.h"

namespace peerlane::target {

class ItlNexus;
class LogicalUnit;
struct CommandContext;

/// What an Answer handler gives: the size of the parameter data that it wrote, or why it refuses.
using Answer = std::expected<std::size_t, scsi::Sense>;

/// A command that needs no waiting: it writes its parameter data, all of them, to `out` (kAnswerBytes; empty with
/// DataDirection::kNone). They are cut to the allocation length and sent by the caller.
using AnswerHandler = Answer (*)(const CommandContext& context, ByteSpan out);

/// A command that waits for the disk or for data.
using WorkHandler = io::Task<Completion> (*)(CommandContext context);

inline constexpr std::size_t kAnswerBytes = 4096;

/// What a command needs to be executed: flags, or-ed.
enum Needs : unsigned {
  kNeedsNothing = 0,
  kNeedsStarted = 1u << 0,         // a unit that was not stopped (START STOP UNIT)
  kNeedsWriteAccess = 1u << 1,     // a medium that is not write protected
  kNeedsBlocks = 1u << 2,          // its CDB names blocks, which exist
  kNeedsUnmap = 1u << 3,           // a device that can unmap; the command does not exist otherwise
  kZeroMeansRest = 1u << 4,        // a number of blocks of 0 is all from the address to the end
  kDespiteAttention = 1u << 5,     // executed, not refused, while a unit attention is pending (SAM-5 §5.14.1), or while
                                   // the unit is being sanitized (SBC-4 §4.11)
  kNeedsAtomicWrite = 1u << 6,     // a device that can write atomically; the command does not exist otherwise
  kEndsSanitizeFailure = 1u << 7,  // executed after a sanitize operation has failed
  kNeedsState = 1u << 8,           // a place for what must survive a restart; the command does not exist otherwise
};

/// Which way the data go.
enum class DataDirection : std::uint8_t { kNone, kIn, kOut };

/// A form of a command: those CDBs whose byte, masked, has this value. No mask: none.
struct CdbForm {
  std::uint8_t byte = 0;
  std::uint8_t mask = 0;
  std::uint8_t value = 0;
};

/// The asymmetric access states of the target port in which a command is executed (SPC-4 §5.16.2.4): the state named,
/// and all before it.
enum class AccessNeed : std::uint8_t { kActive, kStandby, kUnavailable, kTransitioning };

struct CommandDescription {
  scsi::OperationCode operation = {};
  std::optional<std::uint16_t> service_action = {};
  std::string_view name;
  unsigned needs = kNeedsNothing;
  DataDirection direction = DataDirection::kNone;
  ReservationClass reservation = ReservationClass::kAllowed;
  CdbForm never_conflicts = {};  // a form of the command that is allowed whatever `reservation` says
  AccessNeed access = AccessNeed::kActive;
  scsi::CdbField allocation_length = {};  // no field: all the parameter data are sent
  std::uint64_t most_bytes = 0;           // with kNeedsBlocks: the most that the blocks may make up; 0: no limit
  AnswerHandler answer = nullptr;         // exactly one of these two
  WorkHandler work = nullptr;
  std::uint32_t timeout = 0;  // RECOMMENDED COMMAND TIMEOUT in seconds; 0: what is usual for its kind
  /// CDB USAGE DATA (SPC-4 §6.34.3): byte 0 is the operation code; then a 1 for each bit that may be set, and the
  /// service action as it is. Bits that are 0 are refused in a CDB.
  std::array<std::uint8_t, scsi::kVariableLengthCdbBytes> usage{};

  constexpr unsigned cdb_length() const { return scsi::cdb_length(static_cast<std::uint8_t>(operation)); }
  /// Where its control byte stands (SAM-5 §5.2): last, or second in a variable length CDB.
  constexpr unsigned control_byte() const {
    return operation == scsi::OperationCode::kVariableLength ? 1 : cdb_length() - 1;
  }
};

/// One command under way.
struct CommandContext {
  LogicalUnit& unit;
  ItlNexus& nexus;
  Command& command;
  const CommandDescription& description;
  scsi::BlockCdb blocks;  // decoded and in range, with kNeedsBlocks

  ByteView cdb() const { return command.cdb(); }
};

/// All rows, in order of operation code and service action.
std::span<const CommandDescription> command_table();

/// The row for a CDB, or why there is none: INVALID COMMAND OPERATION CODE, or INVALID FIELD IN CDB where only the
/// service action is unknown. At least 16 bytes.
std::expected<const CommandDescription*, scsi::Sense> find_command(ByteView cdb);

/// The row for an operation code and service action. For an operation code that has service actions and none given, its
/// first.
const CommandDescription* find_command(std::uint8_t operation_code, std::optional<std::uint16_t> service_action);

/// Refuses bits that the usage data do not allow, the highest first: reserved ones, protection information fields, and
/// whatever options a command does not offer. Sense data point at the bit.
std::optional<scsi::Sense> check_cdb(const CommandDescription& description, ByteView cdb);

}  // namespace peerlane::target
