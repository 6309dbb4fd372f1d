// What the rows of the command table (target/command_table.h) are written with. The rows themselves are in
// target/command_rows_*.h, one file for each kind of command.
//
// GROUP NUMBER fields are allowed and ignored: grouping is only about statistics. Byte 1 of SYNCHRONIZE CACHE may have
// the SYNC_NV bit of older standards, which asks for less than is done. READ CAPACITY(10) may have the address and PMI
// bit of older standards. The control byte is written as zero: the table itself allows NACA in it, everywhere.
#pragma once

#include "base/limits.h"
#include "target/command_table.h"
#include "target/commands.h"

namespace peerlane::target::rows {

using Op = scsi::OperationCode;

inline constexpr unsigned kReadsMedium = kNeedsStarted | kNeedsBlocks;
inline constexpr unsigned kWritesMedium = kNeedsStarted | kNeedsBlocks | kNeedsWriteAccess;

// Transfer limits stated in the block limits page.
inline constexpr std::uint64_t kTransfer = limits::kMaxTransferBytes;
inline constexpr std::uint64_t kWriteSame = limits::kMaxWriteSameBytes;
inline constexpr std::uint64_t kVerify = limits::kMaxVerifyBytes;
inline constexpr std::uint64_t kCompare = limits::kMaxCompareBytes;
inline constexpr std::uint64_t kAtomic = limits::kMaxAtomicBytes;

/// Commands that bring a parameter list and do little with it, seconds.
inline constexpr std::uint32_t kParameterTimeout = 60;

/// Third-party copies of what a parameter list can name, seconds.
inline constexpr std::uint32_t kCopyTimeout = 600;

}  // namespace peerlane::target::rows
