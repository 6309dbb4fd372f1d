#include "scsi/lun.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

constexpr std::size_t kEntryBytes = 8;

// ADDRESS METHOD, the highest two bits (SAM-5 table 20).
constexpr unsigned kPeripheral = 0;
constexpr unsigned kFlat = 1;
constexpr unsigned kExtended = 3;
constexpr unsigned kMethodShift = 62;

// Extended addressing: LENGTH 01b and EXTENDED ADDRESS METHOD 2h is flat space addressing of 24 bits (SAM-5
// §4.7.7.6.2).
constexpr std::uint8_t kExtendedFlat = 0xd2;

}  // namespace

std::optional<Lun> decode_lun(std::uint64_t field) {
  std::uint64_t number = 0;
  std::uint64_t rest = 0;  // what follows must be zero: only one level
  switch (field >> kMethodShift) {
    case kPeripheral:  // six bits of bus, which must be this one (0), and eight of the number
    case kFlat:
      number = field >> 48 & kMostLun;
      rest = field << 16;
      if (field >> kMethodShift == kPeripheral && number > 0xff) return std::nullopt;
      break;
    case kExtended:
      if (field >> 56 != kExtendedFlat) return std::nullopt;
      number = field >> 32 & 0xffffff;
      rest = field << 32;
      break;
    default:
      return std::nullopt;
  }
  if (rest != 0 || number > kMostLun) return std::nullopt;
  return Lun{static_cast<std::uint16_t>(number)};
}

std::uint64_t encode_lun(Lun lun) {
  assert(lun.value <= kMostLun);
  const std::uint64_t method = lun.value < 256 ? kPeripheral : kFlat;
  return method << kMethodShift | std::uint64_t{lun.value} << 48;
}

std::size_t encode_lun_list(std::span<const Lun> luns, std::span<const std::uint64_t> others, ByteSpan out) {
  const std::size_t list_bytes = (luns.size() + others.size()) * kEntryBytes;
  assert(out.size() >= kLunListHeaderBytes + list_bytes);
  put_be32(out, 0, static_cast<std::uint32_t>(list_bytes));
  put_be32(out, 4, 0);
  std::size_t at = kLunListHeaderBytes;
  for (const Lun lun : luns) {
    put_be64(out, at, encode_lun(lun));
    at += kEntryBytes;
  }
  for (const std::uint64_t field : others) {
    put_be64(out, at, field);
    at += kEntryBytes;
  }
  return at;
}

std::optional<std::uint64_t> lun_list_entry(ByteView list, std::size_t index) {
  if (list.size() < kLunListHeaderBytes) return std::nullopt;
  const std::size_t entries = std::min<std::size_t>(get_be32(list, 0), list.size() - kLunListHeaderBytes) / kEntryBytes;
  if (index >= entries) return std::nullopt;
  return get_be64(list, kLunListHeaderBytes + index * kEntryBytes);
}

}  // namespace peerlane::scsi
