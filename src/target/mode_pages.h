// The mode pages of a logical unit (SPC-4 §7.5, SBC-4 §6.5) as MODE SENSE returns and MODE SELECT takes them. A page is
// a row of a table: its code, how it is written, and what is taken from one that is sent.
#pragma once

#include <cstddef>
#include <expected>
#include <span>

#include "base/bytes.h"
#include "scsi/mode.h"
#include "scsi/sense.h"
#include "target/mode_parameters.h"

namespace peerlane::target {

class LogicalUnit;

/// What of a page is written: what its fields hold, or a 1 for each bit that MODE SELECT can change (SPC-4 §6.11.3).
enum class ModeContent : std::uint8_t { kValues, kChangeable };

struct ModePage {
  scsi::ModePageCode code;
  /// Writes the page. With kChangeable `values` are those that can be changed, and fields that are constant are 0.
  std::size_t (*encode)(const ModeValues& values, ModeContent content, ByteSpan out);
  /// Takes what can be changed from a page of that code and length; null: nothing can.
  void (*take)(ByteView page, ModeValues& values) = nullptr;
};

inline constexpr std::size_t kMostModePageBytes = 64;

/// In ascending order, as they are returned (SPC-4 §6.11.1).
std::span<const ModePage> mode_pages();

/// Which of the two forms a command has.
enum class ModeForm : std::uint8_t { kSix, kTen };

/// Reads a MODE SELECT parameter list (SPC-4 §6.9, §7.5.4): gives `values` as the list changes them, or why the list is
/// refused. Everything in it must be as it is, or be something that can be changed. Pages need `page_format` (PF).
std::expected<ModeValues, scsi::Sense> apply_mode_list(const LogicalUnit& unit, ModeForm form, bool page_format,
                                                       ByteView list, ModeValues values);

}  // namespace peerlane::target
