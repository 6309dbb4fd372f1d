#include "scsi/mode.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

constexpr std::uint8_t flag(bool set, std::uint8_t mask) {
  return set ? mask : std::uint8_t{0};
}

// DEVICE-SPECIFIC PARAMETER of a direct access block device (SBC-4 table 206).
constexpr std::uint8_t kWriteProtected = 0x80;
constexpr std::uint8_t kDpoFua = 0x10;

// Mode parameter header(6) (SPC-4 table 437).
constexpr std::size_t kDeviceSpecific6 = 2;
constexpr std::size_t kDescriptorLength6 = 3;

// Mode parameter header(10) (SPC-4 table 438).
constexpr std::size_t kDeviceSpecific10 = 3;
constexpr std::size_t kLongLbaByte = 4;
constexpr std::uint8_t kLongLba = 0x01;
constexpr std::size_t kDescriptorLength10 = 6;

// Block descriptors (SBC-4 tables 208 and 209).
constexpr std::size_t kShortBlockSize = 5;
constexpr std::size_t kLongBlockSize = 12;

// Page header (SPC-4 tables 443 and 444).
constexpr std::uint8_t kPageCodeMask = 0x3f;
constexpr std::uint8_t kSubpageFormat = 0x40;
constexpr std::size_t kPageHeaderBytes = 2;
constexpr std::size_t kSubpageHeaderBytes = 4;

// Read-write error recovery page (SBC-4 table 222).
constexpr std::size_t kRecoveryFlags = 2;
constexpr std::uint8_t kAwre = 0x80;
constexpr std::uint8_t kArre = 0x40;
constexpr std::size_t kReadRetries = 3;
constexpr std::size_t kWriteRetries = 8;

// Verify error recovery page (SBC-4 table 225).
constexpr std::size_t kVerifyRetries = 3;

constexpr std::size_t kRecoveryTimeLimit = 10;  // in both

// Caching page (SBC-4 table 218).
constexpr std::size_t kCachingFlags = 2;
constexpr std::uint8_t kWce = 0x04;
constexpr std::uint8_t kRcd = 0x01;

// Control page (SPC-4 table 446).
constexpr std::size_t kControlFlags = 2;
constexpr unsigned kTaskSetTypeShift = 5;
constexpr std::uint8_t kDSense = 0x04;
constexpr std::uint8_t kGltsd = 0x02;
constexpr std::size_t kQueueByte = 3;
constexpr unsigned kQueueAlgorithmShift = 4;
constexpr unsigned kQerrShift = 1;
constexpr std::uint8_t kQerrMask = 0x03;
constexpr std::size_t kProtectByte = 4;
constexpr std::uint8_t kSwp = 0x08;
constexpr std::size_t kAbortByte = 5;
constexpr std::uint8_t kTas = 0x40;
constexpr std::size_t kBusyTimeout = 8;

// Control extension page (SPC-4 table 451).
constexpr std::size_t kExtensionFlags = 4;
constexpr std::uint8_t kTcmos = 0x04;
constexpr std::uint8_t kScsip = 0x02;
constexpr std::uint8_t kIaluae = 0x01;
constexpr std::size_t kInitialPriority = 5;
constexpr std::uint8_t kPriorityMask = 0x0f;
constexpr std::size_t kMostSense = 6;

// Informational exceptions control page (SPC-4 table 461).
constexpr std::size_t kExceptionFlags = 2;
constexpr std::uint8_t kDexcpt = 0x08;
constexpr std::size_t kExceptionReporting = 3;
constexpr std::uint8_t kMrieMask = 0x0f;

std::uint8_t device_specific(const ModeHeader& header) {
  return static_cast<std::uint8_t>(flag(header.write_protected, kWriteProtected) | flag(header.dpo_fua, kDpoFua));
}

void set_device_specific(std::uint8_t byte, ModeHeader& header) {
  header.write_protected = (byte & kWriteProtected) != 0;
  header.dpo_fua = (byte & kDpoFua) != 0;
}

/// Zeroes a page and writes its header, in the format that its code has.
ByteSpan start_page(ModePageCode code, std::size_t page_bytes, ByteSpan out) {
  assert(out.size() >= page_bytes);
  std::fill_n(out.begin(), page_bytes, std::uint8_t{0});
  out[0] = code.page;
  if (code.subpage == 0) {
    out[1] = static_cast<std::uint8_t>(page_bytes - kPageHeaderBytes);
  } else {
    out[0] |= kSubpageFormat;
    out[1] = code.subpage;
    put_be16(out, 2, static_cast<std::uint16_t>(page_bytes - kSubpageHeaderBytes));
  }
  return out.first(page_bytes);
}

bool is_page(ByteView page, ModePageCode code, std::size_t least) {
  const auto first = first_mode_page(page);
  return first && first->code == code && first->bytes.size() >= least;
}

}  // namespace

std::size_t encode_mode_header6(const ModeHeader& header, ByteSpan out) {
  assert(out.size() >= kModeHeader6Bytes && header.data_length <= 0xff && header.block_descriptor_length <= 0xff);
  out[0] = static_cast<std::uint8_t>(header.data_length);
  out[1] = 0;  // MEDIUM TYPE
  out[kDeviceSpecific6] = device_specific(header);
  out[kDescriptorLength6] = static_cast<std::uint8_t>(header.block_descriptor_length);
  return kModeHeader6Bytes;
}

std::size_t encode_mode_header10(const ModeHeader& header, ByteSpan out) {
  assert(out.size() >= kModeHeader10Bytes);
  std::fill_n(out.begin(), kModeHeader10Bytes, std::uint8_t{0});
  put_be16(out, 0, header.data_length);
  out[kDeviceSpecific10] = device_specific(header);
  out[kLongLbaByte] = flag(header.long_lba, kLongLba);
  put_be16(out, kDescriptorLength10, header.block_descriptor_length);
  return kModeHeader10Bytes;
}

std::optional<ModeHeader> decode_mode_header6(ByteView bytes) {
  if (bytes.size() < kModeHeader6Bytes) return std::nullopt;
  ModeHeader header;
  header.data_length = bytes[0];
  set_device_specific(bytes[kDeviceSpecific6], header);
  header.block_descriptor_length = bytes[kDescriptorLength6];
  return header;
}

std::optional<ModeHeader> decode_mode_header10(ByteView bytes) {
  if (bytes.size() < kModeHeader10Bytes) return std::nullopt;
  ModeHeader header;
  header.data_length = get_be16(bytes, 0);
  set_device_specific(bytes[kDeviceSpecific10], header);
  header.long_lba = (bytes[kLongLbaByte] & kLongLba) != 0;
  header.block_descriptor_length = get_be16(bytes, kDescriptorLength10);
  return header;
}

std::size_t encode_short_block_descriptor(const BlockDescriptor& descriptor, ByteSpan out) {
  assert(out.size() >= kShortBlockDescriptorBytes);
  put_be32(out, 0, static_cast<std::uint32_t>(std::min<std::uint64_t>(descriptor.blocks.value, UINT32_MAX)));
  out[4] = 0;
  put_be24(out, kShortBlockSize, descriptor.block_size);
  return kShortBlockDescriptorBytes;
}

std::size_t encode_long_block_descriptor(const BlockDescriptor& descriptor, ByteSpan out) {
  assert(out.size() >= kLongBlockDescriptorBytes);
  put_be64(out, 0, descriptor.blocks.value);
  put_be32(out, 8, 0);
  put_be32(out, kLongBlockSize, descriptor.block_size);
  return kLongBlockDescriptorBytes;
}

std::optional<BlockDescriptor> decode_short_block_descriptor(ByteView bytes) {
  if (bytes.size() < kShortBlockDescriptorBytes) return std::nullopt;
  return BlockDescriptor{.blocks = {get_be32(bytes, 0)}, .block_size = get_be24(bytes, kShortBlockSize)};
}

std::optional<BlockDescriptor> decode_long_block_descriptor(ByteView bytes) {
  if (bytes.size() < kLongBlockDescriptorBytes) return std::nullopt;
  return BlockDescriptor{.blocks = {get_be64(bytes, 0)}, .block_size = get_be32(bytes, kLongBlockSize)};
}

std::optional<ModePageView> first_mode_page(ByteView bytes) {
  if (bytes.size() < kPageHeaderBytes) return std::nullopt;
  ModePageView page;
  page.code.page = static_cast<std::uint8_t>(bytes[0] & kPageCodeMask);
  std::size_t size = kPageHeaderBytes + bytes[1];
  if ((bytes[0] & kSubpageFormat) != 0) {
    if (bytes.size() < kSubpageHeaderBytes) return std::nullopt;
    page.code.subpage = bytes[1];
    size = kSubpageHeaderBytes + get_be16(bytes, 2);
  }
  if (size > bytes.size()) return std::nullopt;
  page.bytes = bytes.first(size);
  return page;
}

std::size_t mode_page_length_offset(ByteView page) {
  return (page[0] & kSubpageFormat) != 0 ? 2 : 1;
}

std::size_t encode_read_write_error_recovery_page(const ReadWriteErrorRecoveryPage& page, ByteSpan out) {
  const ByteSpan bytes = start_page(kReadWriteErrorRecoveryPage, kReadWriteErrorRecoveryPageBytes, out);
  bytes[kRecoveryFlags] =
      static_cast<std::uint8_t>(flag(page.write_reallocation, kAwre) | flag(page.read_reallocation, kArre));
  bytes[kReadRetries] = page.read_retries;
  bytes[kWriteRetries] = page.write_retries;
  put_be16(bytes, kRecoveryTimeLimit, page.recovery_time_limit);
  return kReadWriteErrorRecoveryPageBytes;
}

std::optional<ReadWriteErrorRecoveryPage> decode_read_write_error_recovery_page(ByteView page) {
  if (!is_page(page, kReadWriteErrorRecoveryPage, kReadWriteErrorRecoveryPageBytes)) return std::nullopt;
  return ReadWriteErrorRecoveryPage{.write_reallocation = (page[kRecoveryFlags] & kAwre) != 0,
                                    .read_reallocation = (page[kRecoveryFlags] & kArre) != 0,
                                    .read_retries = page[kReadRetries],
                                    .write_retries = page[kWriteRetries],
                                    .recovery_time_limit = get_be16(page, kRecoveryTimeLimit)};
}

std::size_t encode_verify_error_recovery_page(const VerifyErrorRecoveryPage& page, ByteSpan out) {
  const ByteSpan bytes = start_page(kVerifyErrorRecoveryPage, kVerifyErrorRecoveryPageBytes, out);
  bytes[kVerifyRetries] = page.retries;
  put_be16(bytes, kRecoveryTimeLimit, page.recovery_time_limit);
  return kVerifyErrorRecoveryPageBytes;
}

std::optional<VerifyErrorRecoveryPage> decode_verify_error_recovery_page(ByteView page) {
  if (!is_page(page, kVerifyErrorRecoveryPage, kVerifyErrorRecoveryPageBytes)) return std::nullopt;
  return VerifyErrorRecoveryPage{.retries = page[kVerifyRetries],
                                 .recovery_time_limit = get_be16(page, kRecoveryTimeLimit)};
}

std::size_t encode_caching_page(const CachingPage& page, ByteSpan out) {
  const ByteSpan bytes = start_page(kCachingPage, kCachingPageBytes, out);
  bytes[kCachingFlags] = static_cast<std::uint8_t>(flag(page.write_cache, kWce) | flag(page.read_cache_disabled, kRcd));
  return kCachingPageBytes;
}

std::optional<CachingPage> decode_caching_page(ByteView page) {
  if (!is_page(page, kCachingPage, kCachingFlags + 1)) return std::nullopt;
  return CachingPage{.write_cache = (page[kCachingFlags] & kWce) != 0,
                     .read_cache_disabled = (page[kCachingFlags] & kRcd) != 0};
}

std::size_t encode_control_page(const ControlPage& page, ByteSpan out) {
  const ByteSpan bytes = start_page(kControlPage, kControlPageBytes, out);
  bytes[kControlFlags] =
      static_cast<std::uint8_t>(page.task_set_type << kTaskSetTypeShift | flag(page.descriptor_sense, kDSense) |
                                flag(page.global_logging_disabled, kGltsd));
  bytes[kQueueByte] = static_cast<std::uint8_t>(page.queue_algorithm << kQueueAlgorithmShift |
                                                (page.queue_error & kQerrMask) << kQerrShift);
  bytes[kProtectByte] = flag(page.software_write_protect, kSwp);
  bytes[kAbortByte] = flag(page.task_aborted_status, kTas);
  put_be16(bytes, kBusyTimeout, page.busy_timeout);
  return kControlPageBytes;
}

std::optional<ControlPage> decode_control_page(ByteView page) {
  if (!is_page(page, kControlPage, kBusyTimeout + 2)) return std::nullopt;
  return ControlPage{
      .task_set_type = static_cast<std::uint8_t>(page[kControlFlags] >> kTaskSetTypeShift),
      .descriptor_sense = (page[kControlFlags] & kDSense) != 0,
      .global_logging_disabled = (page[kControlFlags] & kGltsd) != 0,
      .queue_algorithm = static_cast<std::uint8_t>(page[kQueueByte] >> kQueueAlgorithmShift),
      .queue_error = static_cast<std::uint8_t>(page[kQueueByte] >> kQerrShift & kQerrMask),
      .task_aborted_status = (page[kAbortByte] & kTas) != 0,
      .software_write_protect = (page[kProtectByte] & kSwp) != 0,
      .busy_timeout = get_be16(page, kBusyTimeout),
  };
}

std::size_t encode_control_extension_page(const ControlExtensionPage& page, ByteSpan out) {
  const ByteSpan bytes = start_page(kControlExtensionPage, kControlExtensionPageBytes, out);
  bytes[kExtensionFlags] = static_cast<std::uint8_t>(flag(page.timestamp_by_other_means, kTcmos) |
                                                     flag(page.set_timestamp_precedence, kScsip) |
                                                     flag(page.implicit_access_enabled, kIaluae));
  bytes[kInitialPriority] = page.initial_priority & kPriorityMask;
  bytes[kMostSense] = page.most_sense_bytes;
  return kControlExtensionPageBytes;
}

std::optional<ControlExtensionPage> decode_control_extension_page(ByteView page) {
  if (!is_page(page, kControlExtensionPage, kMostSense + 1)) return std::nullopt;
  return ControlExtensionPage{
      .timestamp_by_other_means = (page[kExtensionFlags] & kTcmos) != 0,
      .set_timestamp_precedence = (page[kExtensionFlags] & kScsip) != 0,
      .implicit_access_enabled = (page[kExtensionFlags] & kIaluae) != 0,
      .initial_priority = static_cast<std::uint8_t>(page[kInitialPriority] & kPriorityMask),
      .most_sense_bytes = page[kMostSense],
  };
}

std::size_t encode_informational_exceptions_page(const InformationalExceptionsPage& page, ByteSpan out) {
  const ByteSpan bytes = start_page(kInformationalExceptionsPage, kInformationalExceptionsPageBytes, out);
  bytes[kExceptionFlags] = flag(page.disabled, kDexcpt);
  bytes[kExceptionReporting] = page.reporting & kMrieMask;
  return kInformationalExceptionsPageBytes;
}

std::optional<InformationalExceptionsPage> decode_informational_exceptions_page(ByteView page) {
  if (!is_page(page, kInformationalExceptionsPage, kExceptionReporting + 1)) return std::nullopt;
  return InformationalExceptionsPage{
      .disabled = (page[kExceptionFlags] & kDexcpt) != 0,
      .reporting = static_cast<std::uint8_t>(page[kExceptionReporting] & kMrieMask),
  };
}

}  // namespace peerlane::scsi
