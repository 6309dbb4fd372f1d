// The third-party copy page, 8Fh (SPC-4 §7.8.17, SBC-3 §6.6.7): what a copy manager can do, in descriptors of which an
// initiator looks for those that concern it. Windows wants the limits of tokens, ESXi and ddpt the supported commands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/bytes.h"
#include "scsi/inquiry.h"
#include "scsi/rod_token.h"
#include "scsi/token_parameters.h"
#include "scsi/vpd.h"

namespace peerlane::scsi {

/// A command of the supported commands descriptor (0001h).
struct SupportedCopyCommand {
  std::uint8_t operation_code = 0;
  std::vector<std::uint8_t> service_actions = {};  // ascending; at most 253

  friend bool operator==(const SupportedCopyCommand&, const SupportedCopyCommand&) = default;
};

/// Parameter data descriptor (0004h): limits of EXTENDED COPY, as in scsi/copy_operating_parameters.h.
struct CopyParameterLimits {
  std::uint16_t max_cscds = 0;
  std::uint16_t max_segments = 0;
  std::uint32_t max_descriptor_bytes = 0;
  std::uint32_t max_inline_bytes = 0;

  friend bool operator==(const CopyParameterLimits&, const CopyParameterLimits&) = default;
};

/// REMOTE TOKENS: tokens of other targets can be used, but none is made for them (SPC-4 §5.17.6.6).
inline constexpr std::uint8_t kRemoteTokensUsed = 4;

/// ROD token features descriptor (0106h), with the one device type specific descriptor of block devices.
struct RodTokenFeatures {
  std::uint8_t remote_tokens = 0;              // REMOTE TOKENS: 0, only those of this target, or kRemoteTokensUsed
  std::uint32_t min_lifetime = 0;              // seconds
  std::uint32_t max_lifetime = 0;              //
  std::uint32_t max_inactivity = 0;            //
  std::uint16_t optimal_granularity = 0;       // OPTIMAL BLOCK ROD LENGTH GRANULARITY, blocks; 0: nothing is said
  std::uint64_t max_bytes = 0;                 // MAXIMUM BYTES IN BLOCK ROD; 0: no limit stated
  std::uint64_t optimal_bytes = 0;             // OPTIMAL BYTES IN BLOCK ROD TRANSFER
  std::uint64_t optimal_bytes_to_token = 0;    // per segment
  std::uint64_t optimal_bytes_from_token = 0;  //

  friend bool operator==(const RodTokenFeatures&, const RodTokenFeatures&) = default;
};

/// A ROD type of the supported ROD descriptor (0108h).
struct SupportedRod {
  RodType type = RodType::kAccessUponReference;
  bool internal = false;         // ECPY_INT: in ROD CSCD descriptors, without a token
  bool token_in = false;         // TOKEN_IN: such tokens can be used
  bool token_out = false;        // TOKEN_OUT: and made
  std::uint16_t preference = 0;  // PREFERENCE INDICATOR: higher is better

  friend bool operator==(const SupportedRod&, const SupportedRod&) = default;
};

/// General copy operations descriptor (8001h).
struct GeneralCopyOperations {
  std::uint32_t total_copies = 0;       // TOTAL CONCURRENT COPIES
  std::uint32_t identified_copies = 0;  // MAXIMUM IDENTIFIED CONCURRENT COPIES
  std::uint32_t max_segment_bytes = 0;  // MAXIMUM SEGMENT LENGTH; 0: no limit
  std::uint8_t data_granularity = 0;    // exponents of two, bytes
  std::uint8_t inline_granularity = 0;

  friend bool operator==(const GeneralCopyOperations&, const GeneralCopyOperations&) = default;
};

/// Held data descriptor (C001h).
struct HeldDataLimits {
  std::uint32_t limit = 0;       // HELD DATA LIMIT, bytes
  std::uint8_t granularity = 0;  // exponent of two, bytes

  friend bool operator==(const HeldDataLimits&, const HeldDataLimits&) = default;
};

/// What the page says. Of what is empty there is no descriptor; supported commands and general copy operations must be
/// there in a page that is to conform.
struct ThirdPartyCopyPage {
  std::optional<TokenLimits> token_limits = {};         // 0000h
  std::vector<SupportedCopyCommand> commands = {};      // 0001h
  std::optional<CopyParameterLimits> parameters = {};   // 0004h
  std::vector<std::uint8_t> descriptor_types = {};      // 0008h: of CSCDs and segments, ascending; at most 255
  std::vector<std::uint16_t> cscd_ids = {};             // 000Ch: those besides places in the list, ascending
  std::optional<RodTokenFeatures> token_features = {};  // 0106h
  std::vector<SupportedRod> rods = {};                  // 0108h
  std::optional<GeneralCopyOperations> general = {};    // 8001h
  std::optional<HeldDataLimits> held_data = {};         // C001h

  /// Whether the commands include that one.
  bool supports(std::uint8_t operation_code, std::uint8_t service_action) const;

  friend bool operator==(const ThirdPartyCopyPage&, const ThirdPartyCopyPage&) = default;
};

/// Writes the page to `out` (at least kMaxVpdBytes) and returns its size. Descriptors that do not fit are left out.
std::size_t encode_third_party_copy(Peripheral peripheral, const ThirdPartyCopyPage& page, ByteSpan out);

/// Descriptors that this code does not know, that are cut off or too short for their type are passed over.
std::optional<ThirdPartyCopyPage> decode_third_party_copy(ByteView page);

}  // namespace peerlane::scsi
