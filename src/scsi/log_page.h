// Log pages (SPC-4 §7.3, SBC-4 §6.4): what LOG SENSE returns. A page is a header and log parameters, each with a code
// of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"

namespace peerlane::scsi {

/// A log page's PAGE CODE and SUBPAGE CODE.
struct LogPageCode {
  std::uint8_t page = 0;
  std::uint8_t subpage = 0;

  friend constexpr auto operator<=>(LogPageCode, LogPageCode) = default;
};

inline constexpr LogPageCode kSupportedLogPages{0x00, 0x00};
inline constexpr LogPageCode kSupportedLogSubpages{0x00, 0xff};
inline constexpr LogPageCode kProvisioningLogPage{0x0c, 0x00};
inline constexpr LogPageCode kStatisticsLogPage{0x19, 0x00};
inline constexpr LogPageCode kInformationalExceptionsLogPage{0x2f, 0x00};

/// PC of LOG SENSE (SPC-4 table 166): which values are wanted.
enum class LogPageControl : std::uint8_t {
  kThreshold = 0,
  kCumulative = 1,
  kDefaultThreshold = 2,
  kDefaultCumulative = 3,
};

/// FORMAT AND LINKING (SPC-4 table 355): what a parameter is.
enum class LogFormat : std::uint8_t { kBoundedCounter = 0, kAsciiList = 1, kUnboundedCounter = 2, kBinaryList = 3 };

/// A log parameter (SPC-4 table 350).
struct LogParameter {
  std::uint16_t code = 0;
  LogFormat format = LogFormat::kUnboundedCounter;
  ByteView value;  // at most 255 bytes

  /// The value as a big-endian number of at most eight bytes.
  std::uint64_t number() const;
};

inline constexpr std::size_t kLogPageHeaderBytes = 4;
inline constexpr std::size_t kLogParameterHeaderBytes = 4;

/// Builds a page in `out`, parameter by parameter, in ascending order of their codes. Parameters below `first` (LOG
/// SENSE's PARAMETER POINTER) and those that have no room any more are left out.
class LogPageWriter {
 public:
  LogPageWriter(LogPageCode code, std::uint16_t first, ByteSpan out);
  /// Adds a parameter.
  void add(std::uint16_t code, LogFormat format, ByteView value);
  /// Completes the page and returns its size.
  std::size_t finish();

 private:
  ByteSpan out_;
  std::uint16_t first_;
  std::size_t size_ = kLogPageHeaderBytes;
};

/// Writes the list of supported pages, or with subpages (SPC-4 §7.3.17 and §7.3.18); returns its size. `codes` are in
/// ascending order; those with a subpage stand in the list with subpages only.
std::size_t encode_supported_log_pages(std::span<const LogPageCode> codes, bool subpages, ByteSpan out);

/// Reads that list: a page of the code 00h, with or without subpages.
std::optional<std::vector<LogPageCode>> decode_supported_log_pages(ByteView page);

/// The code of a page; nothing if its header is incomplete.
std::optional<LogPageCode> log_page_code(ByteView page);

/// The parameters of a page, as far as they are there whole; they borrow from `page`. Nothing without a header.
std::optional<std::vector<LogParameter>> decode_log_parameters(ByteView page);

}  // namespace peerlane::scsi
