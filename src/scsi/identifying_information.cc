#include "scsi/identifying_information.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

constexpr std::size_t kLength = 2;      // in the header
constexpr std::size_t kMostLength = 2;  // in a descriptor

void put_header(std::size_t length, ByteSpan out) {
  assert(out.size() >= kInformationHeaderBytes + length);
  put_be16(out, 0, 0);
  put_be16(out, kLength, static_cast<std::uint16_t>(length));
}

}  // namespace

std::size_t encode_identifying_information(ByteView information, ByteSpan out) {
  put_header(information.size(), out);
  std::ranges::copy(information, out.subspan(kInformationHeaderBytes).begin());
  return kInformationHeaderBytes + information.size();
}

std::optional<ByteView> decode_identifying_information(ByteView bytes) {
  if (bytes.size() < kInformationHeaderBytes) return std::nullopt;
  const ByteView rest = bytes.subspan(kInformationHeaderBytes);
  return rest.first(std::min<std::size_t>(rest.size(), get_be16(bytes, kLength)));
}

std::size_t encode_supported_information(std::span<const SupportedInformation> types, ByteSpan out) {
  put_header(types.size() * kInformationDescriptorBytes, out);
  ByteSpan rest = out.subspan(kInformationHeaderBytes);
  for (const SupportedInformation& supported : types) {
    rest[0] = static_cast<std::uint8_t>(static_cast<unsigned>(supported.type) << 1);
    rest[1] = 0;
    put_be16(rest, kMostLength, supported.most_bytes);
    rest = rest.subspan(kInformationDescriptorBytes);
  }
  return kInformationHeaderBytes + types.size() * kInformationDescriptorBytes;
}

std::optional<std::vector<SupportedInformation>> decode_supported_information(ByteView bytes) {
  const auto list = decode_identifying_information(bytes);
  if (!list) return std::nullopt;
  std::vector<SupportedInformation> types;
  for (ByteView rest = *list; rest.size() >= kInformationDescriptorBytes;
       rest = rest.subspan(kInformationDescriptorBytes)) {
    types.push_back({static_cast<InformationType>(rest[0] >> 1), get_be16(rest, kMostLength)});
  }
  return types;
}

}  // namespace peerlane::scsi
