// The log page about third-party copies (vendor specific, page code 36h): which way they have taken to a logical unit,
// and which one they would take. docs/third-party-copy.md describes it for others.
//
// Parameters, all of them for reading only:
//   0000h         bytes that have crossed the copy manager's own memory: an unbounded counter of eight bytes
//   0001h..00FFh  one for each way: eight bytes that count bytes, then the way's name in ASCII
//   0100h         what carried the last copy, in ASCII
//   4000h + LUN   how a copy from that logical unit to this one would go now, in ASCII: a line for the way, and one for
//                 each reason against shorter ways, with these, separated by line feeds. Only in answers to a PARAMETER
//                 POINTER from 4000h on, since it takes work to find out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "scsi/log_page.h"
#include "scsi/lun.h"

namespace peerlane::scsi {

inline constexpr LogPageCode kCopyLogPage{0x36, 0x00};

/// The parameters that tell of the future begin here; LUNs go to 3FFFh.
inline constexpr std::uint16_t kCopyForecasts = 0x4000;

struct CopyLog {
  struct Way {
    std::string name;
    std::uint64_t bytes = 0;

    friend bool operator==(const Way&, const Way&) = default;
  };
  std::vector<Way> ways = {};  // at most limits::kCopyLogWays
  std::uint64_t memory_bytes = 0;
  std::string last = {};

  friend bool operator==(const CopyLog&, const CopyLog&) = default;
};

/// How a copy would go.
struct CopyForecast {
  std::string way = {};
  std::vector<std::string> refusals = {};  // "not clone, NVMe Copy: ...", for each reason

  friend bool operator==(const CopyForecast&, const CopyForecast&) = default;
};

/// Adds the parameters of the past. Texts are cut to limits::kCopyLogTextBytes.
void put_copy_log(const CopyLog& log, LogPageWriter& page);

/// Adds what is to be told of copies from that LUN. Likewise cut.
void put_copy_forecast(Lun source, const CopyForecast& forecast, LogPageWriter& page);

/// What a page tells of the past; what is not there is empty, and what is not printable in its texts is '?'. Nothing if
/// it is no such page.
std::optional<CopyLog> decode_copy_log(ByteView page);

/// What a page tells of copies from that LUN, with the same care; a line that was cut ends with "...".
std::optional<CopyForecast> decode_copy_forecast(ByteView page, Lun source);

}  // namespace peerlane::scsi
