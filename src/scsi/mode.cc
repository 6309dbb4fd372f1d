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

// Caching page (SBC-4 table 218).
constexpr std::size_t kCachingFlags = 2;
constexpr std::uint8_t kWce = 0x04;
constexpr std::uint8_t kRcd = 0x01;

// Control page (SPC-4 table 446).
constexpr std::size_t kControlFlags = 2;
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

std::uint8_t device_specific(const ModeHeader& header) {
  return static_cast<std::uint8_t>(flag(header.write_protected, kWriteProtected) | flag(header.dpo_fua, kDpoFua));
}

void set_device_specific(std::uint8_t byte, ModeHeader& header) {
  header.write_protected = (byte & kWriteProtected) != 0;
  header.dpo_fua = (byte & kDpoFua) != 0;
}

/// Zeroes a page in page_0 format and writes its header.
ByteSpan start_page(ModePageCode code, std::size_t page_bytes, ByteSpan out) {
  assert(out.size() >= page_bytes && code.subpage == 0);
  std::fill_n(out.begin(), page_bytes, std::uint8_t{0});
  out[0] = code.page;
  out[1] = static_cast<std::uint8_t>(page_bytes - kPageHeaderBytes);
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
      static_cast<std::uint8_t>(flag(page.descriptor_sense, kDSense) | flag(page.global_logging_disabled, kGltsd));
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
      .descriptor_sense = (page[kControlFlags] & kDSense) != 0,
      .global_logging_disabled = (page[kControlFlags] & kGltsd) != 0,
      .queue_algorithm = static_cast<std::uint8_t>(page[kQueueByte] >> kQueueAlgorithmShift),
      .queue_error = static_cast<std::uint8_t>(page[kQueueByte] >> kQerrShift & kQerrMask),
      .task_aborted_status = (page[kAbortByte] & kTas) != 0,
      .software_write_protect = (page[kProtectByte] & kSwp) != 0,
      .busy_timeout = get_be16(page, kBusyTimeout),
  };
}

}  // namespace peerlane::scsi
