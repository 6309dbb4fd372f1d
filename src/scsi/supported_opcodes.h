// REPORT SUPPORTED OPERATION CODES parameter data (SPC-4 §6.34).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace peerlane::scsi {

/// REPORTING OPTIONS (SPC-4 table 282).
enum class ReportingOptions : std::uint8_t {
  kAll = 0,
  kOperationCode = 1,  // one command; refused if it has service actions
  kServiceAction = 2,  // one command; refused if it has no service actions
  kEither = 3,         // one command; the service action must be 0 if it has none
};

/// A command in the all_commands format (SPC-4 table 284).
struct SupportedCommand {
  std::uint8_t operation_code = 0;
  std::optional<std::uint16_t> service_action = {};
  std::uint16_t cdb_length = 0;

  friend bool operator==(const SupportedCommand&, const SupportedCommand&) = default;
};

/// How long a command is to be waited for (SPC-4 table 297), in seconds; 0: nothing is said.
struct CommandTimeouts {
  std::uint32_t nominal = 0;      // before its progress is asked for
  std::uint32_t recommended = 0;  // before it is given up

  friend bool operator==(const CommandTimeouts&, const CommandTimeouts&) = default;
};

inline constexpr std::size_t kSupportedCommandsHeaderBytes = 4;
inline constexpr std::size_t kSupportedCommandBytes = 8;
inline constexpr std::size_t kCommandTimeoutsBytes = 12;

/// Builds all_commands parameter data in `out`, one command after the other. With `timeouts` (RCTD) each gets a command
/// timeouts descriptor.
class SupportedCommandsWriter {
 public:
  SupportedCommandsWriter(ByteSpan out, bool timeouts) : out_(out), timeouts_(timeouts) {}
  /// False if there is no room for another one.
  bool add(const SupportedCommand& command, const CommandTimeouts& timeouts = {});
  /// Completes the data and returns its size.
  std::size_t finish();

 private:
  ByteSpan out_;
  bool timeouts_;
  std::size_t size_ = kSupportedCommandsHeaderBytes;
};

std::optional<std::vector<SupportedCommand>> decode_supported_commands(ByteView bytes);

/// SUPPORT of the one_command format (SPC-4 table 286).
enum class Support : std::uint8_t { kUnknown = 0, kNot = 1, kStandard = 3, kVendorSpecific = 5 };

/// What is said about one command.
struct CommandSupport {
  Support support = Support::kNot;
  ByteView usage;  // CDB USAGE DATA, as long as the CDB; empty where it is not supported
  CommandTimeouts timeouts = {};
};

/// Writes the one_command format to `out` (4 bytes, the usage data, and kCommandTimeoutsBytes with `timeouts`); returns
/// its size.
std::size_t encode_command_support(const CommandSupport& command, bool timeouts, ByteSpan out);
/// The usage data borrow from `bytes`; without a timeouts descriptor there are no timeouts.
std::optional<CommandSupport> decode_command_support(ByteView bytes);

}  // namespace peerlane::scsi
