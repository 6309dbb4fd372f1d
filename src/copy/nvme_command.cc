#include "copy/nvme_command.h"

#include <algorithm>
#include <array>
#include <cassert>

#include <fmt/format.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>

#include "base/bytes.h"

namespace peerlane::copy::nvme {
namespace {

constexpr std::uint8_t kIdentify = 0x06;
constexpr std::uint8_t kGetFeatures = 0x0a;
constexpr std::uint8_t kCopy = 0x19;
constexpr std::uint32_t kIdentifyNamespace = 0;
constexpr std::uint32_t kIdentifyController = 1;
constexpr std::uint32_t kHostBehaviorSupport = 0x16;
constexpr std::size_t kIdentifyBytes = 4096;
constexpr std::size_t kHostBehaviorBytes = 512;
constexpr std::size_t kRangeBytes = 32;
constexpr std::uint16_t kOncsCopy = 1u << 8;
constexpr std::uint32_t kFormatOfOthers = 2;

std::uint64_t address_of(const void* data) {
  return reinterpret_cast<std::uintptr_t>(data);
}

Result<void> admin(int descriptor, nvme_passthru_cmd command, ByteSpan into) {
  command.addr = address_of(into.data());
  command.data_len = static_cast<std::uint32_t>(into.size());
  const int done = ioctl(descriptor, NVME_IOCTL_ADMIN_CMD, &command);
  if (done < 0) return fail(errno);
  if (done > 0) return fail(EIO, fmt::format("NVMe status {:#x}", done));
  return {};
}

}  // namespace

CopyLimits decode_limits(ByteView controller, ByteView name_space, ByteView host_behavior) {
  assert(controller.size() == kIdentifyBytes && name_space.size() == kIdentifyBytes &&
         host_behavior.size() == kHostBehaviorBytes);
  CopyLimits limits;
  limits.copy = (get_le16(controller, 520) & kOncsCopy) != 0;
  limits.formats = get_le16(controller, 534);
  limits.formats_enabled = (get_le16(host_behavior, 4) & (1u << kFormatOfOthers)) != 0;
  limits.range_blocks = get_le16(name_space, 74);
  limits.blocks = get_le32(name_space, 76);
  limits.ranges = static_cast<std::uint16_t>(name_space[80] + 1u);
  // FLBAS: the index of the LBA format, its high bits apart.
  const std::uint8_t flbas = name_space[26];
  const std::size_t format = (flbas & 0x0fu) | ((flbas >> 1) & 0x30u);
  const std::size_t at = 128 + 4 * format;
  limits.metadata = get_le16(name_space, at) != 0;
  const std::uint8_t shift = name_space[at + 2];
  limits.block = shift >= 9 && shift <= 16 ? 1u << shift : 0;
  return limits;
}

std::uint64_t most_blocks(const CopyLimits& limits) {
  return std::min<std::uint64_t>(limits.blocks, std::uint64_t{limits.range_blocks} * limits.ranges);
}

std::vector<SourceRange> cut(const CopyLimits& limits, std::uint32_t nsid, std::uint64_t block, std::uint64_t blocks) {
  std::vector<SourceRange> ranges;
  while (blocks > 0) {
    const auto count = static_cast<std::uint32_t>(std::min<std::uint64_t>(blocks, limits.range_blocks));
    ranges.push_back({nsid, block, count});
    block += count;
    blocks -= count;
  }
  return ranges;
}

std::vector<std::uint8_t> encode(std::span<const SourceRange> ranges, bool other_namespace) {
  std::vector<std::uint8_t> data(ranges.size() * kRangeBytes);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    assert(ranges[i].blocks >= 1 && ranges[i].blocks <= 1u << 16);  // NLB is a zero's based word
    const ByteSpan entry = ByteSpan(data).subspan(i * kRangeBytes, kRangeBytes);
    if (other_namespace) put_le32(entry, 0, ranges[i].nsid);
    put_le64(entry, 8, ranges[i].block);
    put_le16(entry, 16, static_cast<std::uint16_t>(ranges[i].blocks - 1));
  }
  return data;
}

Result<CopyLimits> ask_limits(int descriptor, std::uint32_t nsid) {
  alignas(4096) std::array<std::uint8_t, kIdentifyBytes> controller{};
  alignas(4096) std::array<std::uint8_t, kIdentifyBytes> name_space{};
  alignas(4096) std::array<std::uint8_t, kHostBehaviorBytes> host_behavior{};
  nvme_passthru_cmd command{};
  command.opcode = kIdentify;
  command.cdw10 = kIdentifyController;
  auto asked = admin(descriptor, command, controller);
  if (!asked) return std::unexpected(asked.error());
  command.cdw10 = kIdentifyNamespace;
  command.nsid = nsid;
  asked = admin(descriptor, command, name_space);
  if (!asked) return std::unexpected(asked.error());
  command = {};
  command.opcode = kGetFeatures;
  command.cdw10 = kHostBehaviorSupport;
  // A controller without the feature has it disabled.
  if (!admin(descriptor, command, host_behavior)) host_behavior.fill(0);
  return decode_limits(controller, name_space, host_behavior);
}

int copy(int descriptor, std::uint32_t nsid, std::uint64_t block, std::span<const SourceRange> ranges,
         bool other_namespace) {
  assert(!ranges.empty() && ranges.size() <= 256);
  std::vector<std::uint8_t> data = encode(ranges, other_namespace);
  nvme_passthru_cmd command{};
  command.opcode = kCopy;
  command.nsid = nsid;
  command.addr = address_of(data.data());
  command.data_len = static_cast<std::uint32_t>(data.size());
  command.cdw10 = static_cast<std::uint32_t>(block);
  command.cdw11 = static_cast<std::uint32_t>(block >> 32);
  command.cdw12 = static_cast<std::uint32_t>(ranges.size() - 1) | (other_namespace ? kFormatOfOthers << 8 : 0);
  return ioctl(descriptor, NVME_IOCTL_IO_CMD, &command);
}

}  // namespace peerlane::copy::nvme
