// The handlers of the commands in target/command_table.cc, and what several of them share.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "io/buffer_pool.h"
#include "io/task.h"
#include "scsi/blocks.h"
#include "scsi/copy_results.h"
#include "scsi/designator.h"
#include "scsi/third_party_copy.h"
#include "target/command.h"
#include "target/command_table.h"
#include "target/logical_unit.h"

namespace peerlane::target {

struct CopyOperation;

// --- commands_primary.cc: any SCSI device (SPC-4) ---
Answer test_unit_ready(const CommandContext& context, ByteSpan out);
Answer request_sense(const CommandContext& context, ByteSpan out);
Answer report_luns(const CommandContext& context, ByteSpan out);
/// REQUEST SENSE as the REPORT LUNS well known logical unit answers it, which has nothing to tell.
Answer request_sense_of_well_known_unit(ByteView cdb, ByteSpan out);
/// REQUEST SENSE and REPORT LUNS as they are answered where there is no logical unit (SAM-5 §5.11).
Answer request_sense_without_unit(ByteView cdb, ByteSpan out);
Answer report_luns_without_unit(ByteView cdb, NexusView& view, ByteSpan out);

// --- commands_supported.cc: what the device server can do ---
Answer report_supported_operation_codes(const CommandContext& context, ByteSpan out);
Answer report_supported_task_management_functions(const CommandContext& context, ByteSpan out);

// --- commands_inquiry.cc ---
Answer inquiry(const CommandContext& context, ByteSpan out);
/// INQUIRY as the REPORT LUNS well known logical unit answers it, and as it is answered where there is none.
Answer inquiry_of_well_known_unit(const std::string& target_name, ByteView cdb, ByteSpan out);
Answer inquiry_without_unit(ByteView cdb, ByteSpan out);

// --- commands_mode.cc ---
Answer mode_sense_6(const CommandContext& context, ByteSpan out);
Answer mode_sense_10(const CommandContext& context, ByteSpan out);
io::Task<Completion> mode_select_6(CommandContext context);
io::Task<Completion> mode_select_10(CommandContext context);

// --- commands_log.cc ---
io::Task<Completion> log_sense(CommandContext context);
Answer log_select(const CommandContext& context, ByteSpan out);

// --- commands_port_groups.cc ---
Answer report_target_port_groups(const CommandContext& context, ByteSpan out);
io::Task<Completion> set_target_port_groups(CommandContext context);

// --- commands_maintenance.cc ---
Answer report_identifying_information(const CommandContext& context, ByteSpan out);
io::Task<Completion> set_identifying_information(CommandContext context);
Answer report_priority(const CommandContext& context, ByteSpan out);
Answer report_timestamp(const CommandContext& context, ByteSpan out);
io::Task<Completion> set_timestamp(CommandContext context);

// --- commands_diagnostic.cc ---
io::Task<Completion> send_diagnostic(CommandContext context);
Answer receive_diagnostic_results(const CommandContext& context, ByteSpan out);

// --- commands_capacity.cc ---
Answer read_capacity_10(const CommandContext& context, ByteSpan out);
Answer read_capacity_16(const CommandContext& context, ByteSpan out);

// --- commands_medium.cc: blocks to and from the medium (SBC-4) ---
io::Task<Completion> read_blocks(CommandContext context);
io::Task<Completion> write_blocks(CommandContext context);
io::Task<Completion> synchronize_cache(CommandContext context);
io::Task<Completion> start_stop_unit(CommandContext context);
io::Task<Completion> prefetch_blocks(CommandContext context);

// --- commands_atomic.cc: reading and writing as one ---
io::Task<Completion> compare_and_write(CommandContext context);
io::Task<Completion> or_write(CommandContext context);
io::Task<Completion> write_atomic(CommandContext context);

// --- commands_sanitize.cc ---
io::Task<Completion> sanitize(CommandContext context);

// --- commands_fixed_medium.cc: what has little meaning on a disk without a tray and without defects ---
Answer prevent_allow_medium_removal(const CommandContext& context, ByteSpan out);
Answer read_defect_data_10(const CommandContext& context, ByteSpan out);
Answer read_defect_data_12(const CommandContext& context, ByteSpan out);

// --- commands_verify.cc ---
io::Task<Completion> verify_blocks(CommandContext context);
io::Task<Completion> write_and_verify_blocks(CommandContext context);

// --- commands_provisioning.cc ---
io::Task<Completion> unmap_blocks(CommandContext context);
io::Task<Completion> write_same(CommandContext context);

// --- commands_lba_status.cc ---
io::Task<Completion> get_lba_status(CommandContext context);

// --- commands_reservation.cc ---
io::Task<Completion> reserve_unit(CommandContext context);
io::Task<Completion> release_unit(CommandContext context);
io::Task<Completion> persistent_reserve_in(CommandContext context);
io::Task<Completion> persistent_reserve_out(CommandContext context);

// --- commands_copy.cc: third-party copies ---
io::Task<Completion> extended_copy(CommandContext context);
Answer abort_copy_operation(const CommandContext& context, ByteSpan out);
Answer receive_copy_status(const CommandContext& context, ByteSpan out);
Answer receive_copy_operating_parameters(const CommandContext& context, ByteSpan out);
Answer receive_copy_failure_details(const CommandContext& context, ByteSpan out);
/// The operation of its nexus that a CDB names. Errors: INVALID FIELD IN CDB if there is none.
std::expected<CopyOperation*, scsi::Sense> named_operation(const CommandContext& context, scsi::CopyForm form);
/// What RECEIVE COPY STATUS(LID4) and its kin tell of an operation, in the sense format of `unit`.
scsi::CopyStatus copy_status(const LogicalUnit& unit, const CopyOperation& operation);

// --- commands_token.cc: third-party copies with ROD tokens ---
io::Task<Completion> populate_token(CommandContext context);
io::Task<Completion> write_using_token(CommandContext context);
Answer receive_rod_token_information(const CommandContext& context, ByteSpan out);
io::Task<Completion> report_all_rod_tokens(CommandContext context);

// --- commands_token_read.cc: for copy managers of other targets ---
io::Task<Completion> read_using_token(CommandContext context);
Answer report_rod_token(const CommandContext& context, ByteSpan out);

// --- commands_inquiry.cc ---
/// The designators of a logical unit by itself, as page 83h has them and CSCD descriptors name it.
std::array<scsi::Designator, 2> unit_designators(const UnitIdentity& identity);

// --- commands_common.cc ---

/// Sends the `size` bytes of parameter data at the start of `buffer`, cut to the allocation length of the CDB.
void send_answer(Command& command, const CommandDescription& description, io::Buffer buffer, std::size_t size);

/// What the disk was doing when it failed.
enum class MediumAccess : std::uint8_t { kRead, kWrite };

/// The deferred error (SPC-4 §4.5.6) for one of the block device in a write or flush that no command waited for: which
/// blocks it was about is not known.
scsi::Sense deferred_failure(const Error& error);

/// The completion for an error of the block device while it accessed the blocks from `lba` on.
Completion device_failure(const Error& error, MediumAccess access, scsi::Lba lba);

/// Where blocks lie on the device, in bytes.
inline std::uint64_t byte_offset(const LogicalUnit& unit, scsi::Lba lba) {
  return lba.value * unit.block_size();
}
inline std::uint64_t byte_length(const LogicalUnit& unit, scsi::BlockCount count) {
  return count.value * unit.block_size();
}

/// Whether writes have to be followed by a flush for the unit to keep its promise of write through, or of `fua`.
inline bool must_reach_medium(const LogicalUnit& unit, bool fua) {
  return unit.capabilities().volatile_cache && (fua || unit.write_through());
}

/// A parameter list; or how the command ends without it: it is too long, the initiator sends less than the CDB says,
/// the task was aborted.
using ParameterList = std::expected<io::Buffer, Completion>;

/// Waits until `pass` is granted. Otherwise how the command ends: the task was aborted, or the unit is being sanitized.
io::Task<std::optional<Completion>> wait_for(CommandContext context, RangeLock::Pass& pass);

/// Whether a command that has done `done` bytes of its work lets others have their turn (io::yield) after the next
/// `piece`. Disks that answer at once would otherwise let it keep its reactor for all of it.
constexpr bool turn_ends(std::uint64_t done, std::size_t piece) {
  return (done + piece) / limits::kTurnBytes != done / limits::kTurnBytes;
}

/// The end of the piece of [from, end) that a disk is to unmap or to zero in one turn. Cut where it costs nothing: at
/// multiples of any granularity.
constexpr std::uint64_t end_of_turn(std::uint64_t from, std::uint64_t end) {
  const std::uint64_t next = from / limits::kTurnBytes * limits::kTurnBytes + limits::kTurnBytes;
  return next < end ? next : end;
}

/// Receives a parameter list of `length` bytes (at least 1).
io::Task<ParameterList> receive_parameter_list(CommandContext context, std::size_t length);

}  // namespace peerlane::target
