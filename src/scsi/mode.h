// Mode parameters (SPC-4 §7.5, SBC-4 §6.5): the header, the block descriptor and the pages that MODE SENSE returns and
// MODE SELECT takes. A mode page more is a structure with its encoder and decoder here, and a row in
// target/mode_pages.cc.
//
// Encoders write to `out`, which has room for what they write, and return the number of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "scsi/blocks.h"

namespace peerlane::scsi {

/// A mode page's PAGE CODE and SUBPAGE CODE.
struct ModePageCode {
  std::uint8_t page = 0;
  std::uint8_t subpage = 0;

  friend constexpr auto operator<=>(ModePageCode, ModePageCode) = default;
};

inline constexpr ModePageCode kReadWriteErrorRecoveryPage{0x01, 0x00};
inline constexpr ModePageCode kVerifyErrorRecoveryPage{0x07, 0x00};
inline constexpr ModePageCode kCachingPage{0x08, 0x00};
inline constexpr ModePageCode kControlPage{0x0a, 0x00};
inline constexpr ModePageCode kControlExtensionPage{0x0a, 0x01};
inline constexpr ModePageCode kInformationalExceptionsPage{0x1c, 0x00};
/// Asks for all pages, and for all subpages.
inline constexpr std::uint8_t kAllPages = 0x3f;
inline constexpr std::uint8_t kAllSubpages = 0xff;

/// PC of MODE SENSE (SPC-4 table 160): which values are wanted.
enum class PageControl : std::uint8_t { kCurrent = 0, kChangeable = 1, kDefault = 2, kSaved = 3 };

// --- Header and block descriptor (SPC-4 §7.5.5 and §7.5.6, SBC-4 §6.5.2) ---

struct ModeHeader {
  std::uint16_t data_length = 0;  // MODE DATA LENGTH: the bytes that follow this field
  bool write_protected = false;   // WP
  bool dpo_fua = false;           // DPOFUA: DPO and FUA bits are supported
  bool long_lba = false;          // LONGLBA: the block descriptor has the long form; ten-byte header only
  std::uint16_t block_descriptor_length = 0;

  friend bool operator==(const ModeHeader&, const ModeHeader&) = default;
};

inline constexpr std::size_t kModeHeader6Bytes = 4;
inline constexpr std::size_t kModeHeader10Bytes = 8;

std::size_t encode_mode_header6(const ModeHeader& header, ByteSpan out);
std::size_t encode_mode_header10(const ModeHeader& header, ByteSpan out);
std::optional<ModeHeader> decode_mode_header6(ByteView bytes);
std::optional<ModeHeader> decode_mode_header10(ByteView bytes);

struct BlockDescriptor {
  BlockCount blocks;
  std::uint32_t block_size = 512;

  friend bool operator==(const BlockDescriptor&, const BlockDescriptor&) = default;
};

inline constexpr std::size_t kShortBlockDescriptorBytes = 8;
inline constexpr std::size_t kLongBlockDescriptorBytes = 16;

/// A count that does not fit 32 bits shows as FFFFFFFFh.
std::size_t encode_short_block_descriptor(const BlockDescriptor& descriptor, ByteSpan out);
std::size_t encode_long_block_descriptor(const BlockDescriptor& descriptor, ByteSpan out);
std::optional<BlockDescriptor> decode_short_block_descriptor(ByteView bytes);
std::optional<BlockDescriptor> decode_long_block_descriptor(ByteView bytes);

// --- Pages ---

/// A mode page among others: its code and its bytes, header included.
struct ModePageView {
  ModePageCode code;
  ByteView bytes;
};

/// The page at the start of `bytes`, in page_0 or sub_page format (SPC-4 §7.5.7); nothing if it is incomplete.
std::optional<ModePageView> first_mode_page(ByteView bytes);

/// Where a page says how long it is: byte 1, or byte 2 in sub_page format. At least one byte.
std::size_t mode_page_length_offset(ByteView page);

/// PS, in the first byte of a page: it can be saved (MODE SENSE only; reserved in MODE SELECT).
inline constexpr std::uint8_t kParametersSaveable = 0x80;

/// Read-write error recovery mode page (SBC-4 §6.5.9).
struct ReadWriteErrorRecoveryPage {
  bool write_reallocation = false;  // AWRE
  bool read_reallocation = false;   // ARRE
  std::uint8_t read_retries = 0;
  std::uint8_t write_retries = 0;
  std::uint16_t recovery_time_limit = 0;  // in ms; 0: the default

  friend bool operator==(const ReadWriteErrorRecoveryPage&, const ReadWriteErrorRecoveryPage&) = default;
};

inline constexpr std::size_t kReadWriteErrorRecoveryPageBytes = 12;

std::size_t encode_read_write_error_recovery_page(const ReadWriteErrorRecoveryPage& page, ByteSpan out);
std::optional<ReadWriteErrorRecoveryPage> decode_read_write_error_recovery_page(ByteView page);

/// Verify error recovery mode page (SBC-4 §6.5.10).
struct VerifyErrorRecoveryPage {
  std::uint8_t retries = 0;
  std::uint16_t recovery_time_limit = 0;  // in ms; 0: the default

  friend bool operator==(const VerifyErrorRecoveryPage&, const VerifyErrorRecoveryPage&) = default;
};

inline constexpr std::size_t kVerifyErrorRecoveryPageBytes = 12;

std::size_t encode_verify_error_recovery_page(const VerifyErrorRecoveryPage& page, ByteSpan out);
std::optional<VerifyErrorRecoveryPage> decode_verify_error_recovery_page(ByteView page);

/// Caching mode page (SBC-4 §6.5.6).
struct CachingPage {
  bool write_cache = false;          // WCE
  bool read_cache_disabled = false;  // RCD

  friend bool operator==(const CachingPage&, const CachingPage&) = default;
};

inline constexpr std::size_t kCachingPageBytes = 20;

std::size_t encode_caching_page(const CachingPage& page, ByteSpan out);
std::optional<CachingPage> decode_caching_page(ByteView page);

/// Control mode page (SPC-4 §7.5.8).
struct ControlPage {
  std::uint8_t task_set_type = 0;        // TST: 0 one task set for all I_T nexuses, 1 one for each
  bool descriptor_sense = false;         // D_SENSE
  bool global_logging_disabled = false;  // GLTSD
  std::uint8_t queue_algorithm = 0;      // QUEUE ALGORITHM MODIFIER: 0 restricted, 1 unrestricted reordering
  std::uint8_t queue_error = 0;          // QERR
  bool task_aborted_status = false;      // TAS: aborted by another nexus: TASK ABORTED instead of a unit attention
  bool software_write_protect = false;   // SWP
  std::uint16_t busy_timeout = 0;        // BUSY TIMEOUT PERIOD, in 100 ms; FFFFh: unlimited

  friend bool operator==(const ControlPage&, const ControlPage&) = default;
};

inline constexpr std::size_t kControlPageBytes = 12;

std::size_t encode_control_page(const ControlPage& page, ByteSpan out);
std::optional<ControlPage> decode_control_page(ByteView page);

/// Control extension mode page (SPC-4 §7.5.9).
struct ControlExtensionPage {
  bool timestamp_by_other_means = false;  // TCMOS: the timestamp may be set by other means than SET TIMESTAMP
  bool set_timestamp_precedence = false;  // SCSIP: what SET TIMESTAMP sets stays
  bool implicit_access_enabled = false;   // IALUAE: asymmetric access states may change by themselves
  std::uint8_t initial_priority = 0;      // INITIAL COMMAND PRIORITY
  std::uint8_t most_sense_bytes = 0;      // MAXIMUM SENSE DATA LENGTH; 0: no limit

  friend bool operator==(const ControlExtensionPage&, const ControlExtensionPage&) = default;
};

inline constexpr std::size_t kControlExtensionPageBytes = 32;

std::size_t encode_control_extension_page(const ControlExtensionPage& page, ByteSpan out);
std::optional<ControlExtensionPage> decode_control_extension_page(ByteView page);

/// Informational exceptions control mode page (SPC-4 §7.5.13, SBC-4 §6.5.7).
struct InformationalExceptionsPage {
  bool disabled = false;       // DEXCPT: no exceptions are reported
  std::uint8_t reporting = 0;  // MRIE: how they are

  friend bool operator==(const InformationalExceptionsPage&, const InformationalExceptionsPage&) = default;
};

inline constexpr std::size_t kInformationalExceptionsPageBytes = 12;

std::size_t encode_informational_exceptions_page(const InformationalExceptionsPage& page, ByteSpan out);
std::optional<InformationalExceptionsPage> decode_informational_exceptions_page(ByteView page);

}  // namespace peerlane::scsi
