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
constexpr std::uint32_t kIdentifyNvmNamespace = 5;  // of the NVM Command Set, whose identifier (CSI) is 0
constexpr std::uint16_t kOncsCopy = 1u << 8;
constexpr std::uint32_t kCtrattElbas = 1u << 15;

// PRINFO: what is done about protection information. PRINFOR and PRINFOW have to agree on PRACT.
constexpr std::uint32_t kAct = 8;
constexpr std::uint32_t kCheckGuard = 4;
constexpr std::uint32_t kCheckReference = 1;
constexpr std::uint64_t kWideReference = (std::uint64_t{1} << 48) - 1;  // a reference tag beside a guard of 64 bits

bool of_other_namespaces(CopyForm form) {
  return form.format >= 2;
}
bool has_wide_guard(CopyForm form) {
  return form.format % 2 == 1;
}
/// Only those of types 1 and 2 mean a place.
bool has_reference(CopyForm form) {
  return form.protection == 1 || form.protection == 2;
}

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

bool has_extended_formats(ByteView controller) {
  return (get_le32(controller, 96) & kCtrattElbas) != 0;
}

CopyLimits decode_limits(ByteView controller, ByteView name_space, ByteView nvm_name_space, ByteView host_behavior) {
  assert(controller.size() == kIdentifyBytes && name_space.size() == kIdentifyBytes &&
         nvm_name_space.size() == kIdentifyBytes && host_behavior.size() == kHostBehaviorBytes);
  CopyLimits limits;
  limits.copy = (get_le16(controller, 520) & kOncsCopy) != 0;
  limits.formats = get_le16(controller, 534);
  limits.enabled = get_le16(host_behavior, 4);
  limits.range_blocks = get_le16(name_space, 74);
  limits.blocks = get_le32(name_space, 76);
  limits.ranges = static_cast<std::uint16_t>(name_space[80] + 1u);
  // FLBAS: the index of the LBA format, its high bits apart.
  const std::uint8_t flbas = name_space[26];
  const std::size_t format = (flbas & 0x0fu) | ((flbas >> 1) & 0x30u);
  const std::size_t at = 128 + 4 * format;
  limits.metadata = get_le16(name_space, at);
  limits.protection = name_space[29] & 0x07u;
  const std::uint32_t extended = get_le32(nvm_name_space, 12 + 4 * format);  // ELBAF
  limits.storage_tag = extended & 0x7fu;
  const std::uint32_t guard = (extended >> 7) & 0x03u;
  limits.guard = guard == 0 ? Guard::k16 : guard == 2 ? Guard::k64 : Guard::kOther;
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

CopyForm form_for(const CopyLimits& limits, bool other_namespace) {
  const bool wide = limits.protection != 0 && limits.guard != Guard::k16;
  return {.format = static_cast<std::uint8_t>((other_namespace ? 2 : 0) + (wide ? 1 : 0)),
          .protection = limits.protection};
}

std::vector<std::uint8_t> encode(std::span<const SourceRange> ranges, CopyForm form) {
  const std::size_t range_bytes = has_wide_guard(form) ? 40 : 32;
  std::vector<std::uint8_t> data(ranges.size() * range_bytes);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    assert(ranges[i].blocks >= 1 && ranges[i].blocks <= 1u << 16);  // NLB is a zero's based word
    const ByteSpan entry = ByteSpan(data).subspan(i * range_bytes, range_bytes);
    if (of_other_namespaces(form)) put_le32(entry, 0, ranges[i].nsid);
    put_le64(entry, 8, ranges[i].block);
    put_le16(entry, 16, static_cast<std::uint16_t>(ranges[i].blocks - 1));
    if (!has_reference(form)) continue;
    if (has_wide_guard(form)) {
      put_be48(entry, 30, ranges[i].block & kWideReference);  // the end of ELBT
    } else {
      put_le32(entry, 24, static_cast<std::uint32_t>(ranges[i].block));
    }
  }
  return data;
}

CopyDwords encode(std::uint64_t block, std::size_t ranges, CopyForm form) {
  CopyDwords dwords;
  dwords.cdw10 = static_cast<std::uint32_t>(block);
  dwords.cdw11 = static_cast<std::uint32_t>(block >> 32);
  dwords.cdw12 = static_cast<std::uint32_t>(ranges - 1) | std::uint32_t{form.format} << 8;
  if (form.protection == 0) return dwords;
  const std::uint32_t prinfo = kAct | kCheckGuard | (has_reference(form) ? kCheckReference : 0);
  dwords.cdw12 |= prinfo << 12 | prinfo << 26;
  if (!has_reference(form)) return dwords;
  dwords.cdw14 = static_cast<std::uint32_t>(block);
  if (has_wide_guard(form)) dwords.cdw3 = static_cast<std::uint32_t>((block & kWideReference) >> 32);
  return dwords;
}

Result<CopyLimits> ask_limits(int descriptor, std::uint32_t nsid) {
  alignas(4096) std::array<std::uint8_t, kIdentifyBytes> controller{};
  alignas(4096) std::array<std::uint8_t, kIdentifyBytes> name_space{};
  alignas(4096) std::array<std::uint8_t, kIdentifyBytes> nvm_name_space{};
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
  if (has_extended_formats(controller)) {
    command.cdw10 = kIdentifyNvmNamespace;
    asked = admin(descriptor, command, nvm_name_space);
    if (!asked) return std::unexpected(asked.error());
  }
  command = {};
  command.opcode = kGetFeatures;
  command.cdw10 = kHostBehaviorSupport;
  // A controller without the feature has it disabled.
  if (!admin(descriptor, command, host_behavior)) host_behavior.fill(0);
  return decode_limits(controller, name_space, nvm_name_space, host_behavior);
}

int copy(int descriptor, std::uint32_t nsid, std::uint64_t block, std::span<const SourceRange> ranges, CopyForm form) {
  assert(!ranges.empty() && ranges.size() <= 256);
  std::vector<std::uint8_t> data = encode(ranges, form);
  const CopyDwords dwords = encode(block, ranges.size(), form);
  nvme_passthru_cmd command{};
  command.opcode = kCopy;
  command.nsid = nsid;
  command.addr = address_of(data.data());
  command.data_len = static_cast<std::uint32_t>(data.size());
  command.cdw3 = dwords.cdw3;
  command.cdw10 = dwords.cdw10;
  command.cdw11 = dwords.cdw11;
  command.cdw12 = dwords.cdw12;
  command.cdw14 = dwords.cdw14;
  return ioctl(descriptor, NVME_IOCTL_IO_CMD, &command);
}

}  // namespace peerlane::copy::nvme
