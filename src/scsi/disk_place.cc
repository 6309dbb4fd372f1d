#include "scsi/disk_place.h"

#include <algorithm>
#include <cassert>
#include <string_view>

#include "scsi/vpd_page.h"

namespace peerlane::scsi {
namespace {

// Offsets from the body's start.
constexpr std::string_view kSignature = "PEERLANE";
constexpr std::size_t kVersion = 8;
constexpr std::size_t kIdentityLength = 9;
constexpr std::size_t kOffset = 12;
constexpr std::size_t kLength = 20;
constexpr std::size_t kIdentity = 28;

constexpr std::uint8_t kFirstVersion = 1;

constexpr bool is_of_a_name(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-';
}

}  // namespace

std::size_t encode_disk_place(Peripheral peripheral, const DiskPlace& place, ByteSpan out) {
  assert(place.identity.size() <= kMaxDiskIdentityBytes);
  const ByteSpan body = start_page(peripheral, VpdPage::kDiskPlace, kIdentity + place.identity.size(), out);
  std::ranges::copy(kSignature, body.begin());
  body[kVersion] = kFirstVersion;
  body[kIdentityLength] = static_cast<std::uint8_t>(place.identity.size());
  put_be64(body, kOffset, place.offset);
  put_be64(body, kLength, place.length);
  std::ranges::copy(place.identity, body.begin() + kIdentity);
  return kVpdHeaderBytes + body.size();
}

std::optional<DiskPlace> decode_disk_place(ByteView page) {
  const auto body = body_of(page, VpdPage::kDiskPlace, kIdentity);
  if (!body || as_text(body->first(kSignature.size())) != kSignature || (*body)[kVersion] != kFirstVersion) {
    return std::nullopt;
  }
  const std::size_t bytes = (*body)[kIdentityLength];
  if (bytes == 0 || bytes > kMaxDiskIdentityBytes || bytes > body->size() - kIdentity) return std::nullopt;
  DiskPlace place{.identity = std::string(as_text(body->subspan(kIdentity, bytes))),
                  .offset = get_be64(*body, kOffset),
                  .length = get_be64(*body, kLength)};
  const bool possible = place.length != 0 && place.offset <= UINT64_MAX - place.length;
  if (!possible || !std::ranges::all_of(place.identity, is_of_a_name)) return std::nullopt;
  return place;
}

}  // namespace peerlane::scsi
