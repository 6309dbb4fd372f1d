// REPORT and SET TIMESTAMP (SPC-4 §6.38 and §6.46): milliseconds since 1970-01-01 00:00 UTC, in 48 bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace peerlane::scsi {

/// TIMESTAMP ORIGIN (SPC-4 table 55).
enum class TimestampOrigin : std::uint8_t {
  kPowerOn = 0,  // zero at power on
  kSet = 2,      // a SET TIMESTAMP command
  kOutside = 3,  // other means
};

struct Timestamp {
  std::uint64_t milliseconds = 0;  // 48 bits
  TimestampOrigin origin = TimestampOrigin::kPowerOn;

  friend bool operator==(const Timestamp&, const Timestamp&) = default;
};

inline constexpr std::size_t kTimestampBytes = 12;  // of both parameter data and parameter list

/// REPORT TIMESTAMP parameter data.
std::size_t encode_timestamp(const Timestamp& timestamp, ByteSpan out);
std::optional<Timestamp> decode_timestamp(ByteView bytes);

/// The time in a SET TIMESTAMP parameter list of kTimestampBytes.
std::uint64_t decode_set_timestamp(ByteView list);

}  // namespace peerlane::scsi
