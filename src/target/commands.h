// The handlers of the commands in target/command_table.cc, and what several of them share.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/error.h"
#include "io/buffer_pool.h"
#include "io/task.h"
#include "scsi/blocks.h"
#include "target/command.h"
#include "target/command_table.h"
#include "target/logical_unit.h"

namespace peerlane::target {

// --- commands_primary.cc: any SCSI device (SPC-4) ---
Answer test_unit_ready(const CommandContext& context, ByteSpan out);
Answer request_sense(const CommandContext& context, ByteSpan out);
Answer report_luns(const CommandContext& context, ByteSpan out);
Answer report_supported_operation_codes(const CommandContext& context, ByteSpan out);
/// REQUEST SENSE and REPORT LUNS as they are answered where there is no logical unit (SAM-5 §5.11).
Answer request_sense_without_unit(ByteView cdb, ByteSpan out);
Answer report_luns_without_unit(ByteView cdb, NexusView& view, ByteSpan out);

// --- commands_inquiry.cc ---
Answer inquiry(const CommandContext& context, ByteSpan out);
Answer inquiry_without_unit(ByteView cdb, ByteSpan out);

// --- commands_mode.cc ---
Answer mode_sense_6(const CommandContext& context, ByteSpan out);
Answer mode_sense_10(const CommandContext& context, ByteSpan out);

// --- commands_capacity.cc ---
Answer read_capacity_10(const CommandContext& context, ByteSpan out);
Answer read_capacity_16(const CommandContext& context, ByteSpan out);

// --- commands_medium.cc: blocks to and from the medium (SBC-4) ---
io::Task<Completion> read_blocks(CommandContext context);
io::Task<Completion> write_blocks(CommandContext context);
io::Task<Completion> synchronize_cache(CommandContext context);
io::Task<Completion> start_stop_unit(CommandContext context);

// --- commands_verify.cc ---
io::Task<Completion> verify_blocks(CommandContext context);
io::Task<Completion> write_and_verify_blocks(CommandContext context);

// --- commands_provisioning.cc ---
io::Task<Completion> unmap_blocks(CommandContext context);
io::Task<Completion> write_same(CommandContext context);

// --- commands_lba_status.cc ---
io::Task<Completion> get_lba_status(CommandContext context);

// --- commands_common.cc ---

/// Sends the `size` bytes of parameter data at the start of `buffer`, cut to the allocation length of the CDB.
void send_answer(Command& command, const CommandDescription& description, io::Buffer buffer, std::size_t size);

/// What the disk was doing when it failed.
enum class MediumAccess : std::uint8_t { kRead, kWrite };

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

/// A parameter list on its way in.
struct ParameterList {
  std::optional<io::Buffer> bytes;    // nothing if the task was aborted
  std::optional<Completion> refused;  // too long, or the initiator sends less than the CDB says
};

/// Receives a parameter list of `length` bytes (at least 1).
io::Task<ParameterList> receive_parameter_list(CommandContext context, std::size_t length);

}  // namespace peerlane::target
