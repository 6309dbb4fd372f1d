#include "scsi/supported_functions.h"

#include <algorithm>
#include <array>
#include <cassert>

namespace peerlane::scsi {
namespace {

/// A function and its bit in the first two bytes (SPC-4 table 300).
struct Bit {
  bool SupportedFunctions::* function;
  std::size_t byte;
  std::uint8_t mask;
};

constexpr std::array kBits{
    Bit{&SupportedFunctions::abort_task, 0, 0x80},      Bit{&SupportedFunctions::abort_task_set, 0, 0x40},
    Bit{&SupportedFunctions::clear_aca, 0, 0x20},       Bit{&SupportedFunctions::clear_task_set, 0, 0x10},
    Bit{&SupportedFunctions::logical_unit_reset, 0, 8}, Bit{&SupportedFunctions::query_task, 0, 4},
    Bit{&SupportedFunctions::target_reset, 0, 2},       Bit{&SupportedFunctions::query_asynchronous_event, 1, 4},
    Bit{&SupportedFunctions::query_task_set, 1, 2},     Bit{&SupportedFunctions::nexus_reset, 1, 1},
};

constexpr std::size_t kAdditionalLength = 3;
constexpr std::size_t kTimeoutsByte = 4;
constexpr std::uint8_t kTimeoutsValid = 0x01;  // TMFTMOV
constexpr std::size_t kLongTimeout = 8;        // for the functions whose selector bit is 0

}  // namespace

std::size_t encode_supported_functions(const SupportedFunctions& functions, ByteSpan out) {
  assert(out.size() >= kSupportedFunctionsBytes);
  std::fill_n(out.begin(), kSupportedFunctionsBytes, std::uint8_t{0});
  for (const Bit& bit : kBits) {
    if (functions.*bit.function) out[bit.byte] |= bit.mask;
  }
  return kSupportedFunctionsBytes;
}

std::size_t encode_supported_functions(const SupportedFunctions& functions, std::uint32_t timeout, ByteSpan out) {
  assert(out.size() >= kSupportedFunctionsExtendedBytes);
  std::fill_n(out.begin(), kSupportedFunctionsExtendedBytes, std::uint8_t{0});
  encode_supported_functions(functions, out);
  out[kAdditionalLength] = kSupportedFunctionsExtendedBytes - kSupportedFunctionsBytes;
  out[kTimeoutsByte] = kTimeoutsValid;
  put_be32(out, kLongTimeout, timeout);
  return kSupportedFunctionsExtendedBytes;
}

std::optional<SupportedFunctions> decode_supported_functions(ByteView bytes) {
  if (bytes.size() < kSupportedFunctionsBytes) return std::nullopt;
  SupportedFunctions functions;
  for (const Bit& bit : kBits) functions.*bit.function = (bytes[bit.byte] & bit.mask) != 0;
  return functions;
}

}  // namespace peerlane::scsi
