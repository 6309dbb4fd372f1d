// REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS parameter data (SPC-4 §6.36).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace peerlane::scsi {

struct SupportedFunctions {
  bool abort_task = false;
  bool abort_task_set = false;
  bool clear_aca = false;
  bool clear_task_set = false;
  bool logical_unit_reset = false;
  bool query_task = false;
  bool target_reset = false;  // obsolete, and asked for
  bool query_asynchronous_event = false;
  bool query_task_set = false;
  bool nexus_reset = false;

  friend bool operator==(const SupportedFunctions&, const SupportedFunctions&) = default;
};

inline constexpr std::size_t kSupportedFunctionsBytes = 4;
inline constexpr std::size_t kSupportedFunctionsExtendedBytes = 16;

/// Writes the data in their basic form (table 300).
std::size_t encode_supported_functions(const SupportedFunctions& functions, ByteSpan out);
/// Writes them in their extended form (table 301), which says that all functions are to be waited for at least
/// `timeout`, in 100 ms.
std::size_t encode_supported_functions(const SupportedFunctions& functions, std::uint32_t timeout, ByteSpan out);
std::optional<SupportedFunctions> decode_supported_functions(ByteView bytes);

}  // namespace peerlane::scsi
