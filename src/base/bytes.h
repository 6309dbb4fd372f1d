// Views of raw bytes, and integers in them: big-endian, as everything is that comes from or goes to the wire (RFC 7143
// §11.1, SPC-4 §3.6), and little-endian, as NVMe has them (NVM Express Base Specification §1.4.2).
//
// All functions are thread-safe and never allocate. `get_*` and `put_*` require that the bytes named exist: the caller
// has checked the length of what it received; debug builds assert it.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace peerlane {

using ByteView = std::span<const std::uint8_t>;  // borrowed, read-only
using ByteSpan = std::span<std::uint8_t>;        // borrowed, writable

namespace detail {

// Folds and not loops: g++ makes one load and a byte swap of a fold at -O2, and leaves a loop as it is.
template <std::size_t Width>
constexpr std::uint64_t get_be(ByteView bytes, std::size_t offset) {
  assert(offset + Width <= bytes.size());
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return ((std::uint64_t{bytes[offset + I]} << (8 * (Width - 1 - I))) | ...);
  }(std::make_index_sequence<Width>{});
}

template <std::size_t Width>
constexpr void put_be(ByteSpan bytes, std::size_t offset, std::uint64_t value) {
  assert(offset + Width <= bytes.size());
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((bytes[offset + I] = static_cast<std::uint8_t>(value >> (8 * (Width - 1 - I)))), ...);
  }(std::make_index_sequence<Width>{});
}

template <std::size_t Width>
constexpr std::uint64_t get_le(ByteView bytes, std::size_t offset) {
  assert(offset + Width <= bytes.size());
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return ((std::uint64_t{bytes[offset + I]} << (8 * I)) | ...);
  }(std::make_index_sequence<Width>{});
}

template <std::size_t Width>
constexpr void put_le(ByteSpan bytes, std::size_t offset, std::uint64_t value) {
  assert(offset + Width <= bytes.size());
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((bytes[offset + I] = static_cast<std::uint8_t>(value >> (8 * I))), ...);
  }(std::make_index_sequence<Width>{});
}

}  // namespace detail

constexpr std::uint16_t get_be16(ByteView b, std::size_t offset) {
  return static_cast<std::uint16_t>(detail::get_be<2>(b, offset));
}
constexpr std::uint32_t get_be24(ByteView b, std::size_t offset) {
  return static_cast<std::uint32_t>(detail::get_be<3>(b, offset));
}
constexpr std::uint32_t get_be32(ByteView b, std::size_t offset) {
  return static_cast<std::uint32_t>(detail::get_be<4>(b, offset));
}
constexpr std::uint64_t get_be48(ByteView b, std::size_t offset) {
  return detail::get_be<6>(b, offset);
}
constexpr std::uint64_t get_be64(ByteView b, std::size_t offset) {
  return detail::get_be<8>(b, offset);
}

constexpr void put_be16(ByteSpan b, std::size_t offset, std::uint16_t value) {
  detail::put_be<2>(b, offset, value);
}
constexpr void put_be24(ByteSpan b, std::size_t offset, std::uint32_t value) {
  detail::put_be<3>(b, offset, value);
}
constexpr void put_be32(ByteSpan b, std::size_t offset, std::uint32_t value) {
  detail::put_be<4>(b, offset, value);
}
constexpr void put_be48(ByteSpan b, std::size_t offset, std::uint64_t value) {
  detail::put_be<6>(b, offset, value);
}
constexpr void put_be64(ByteSpan b, std::size_t offset, std::uint64_t value) {
  detail::put_be<8>(b, offset, value);
}

constexpr std::uint16_t get_le16(ByteView b, std::size_t offset) {
  return static_cast<std::uint16_t>(detail::get_le<2>(b, offset));
}
constexpr std::uint32_t get_le32(ByteView b, std::size_t offset) {
  return static_cast<std::uint32_t>(detail::get_le<4>(b, offset));
}
constexpr void put_le16(ByteSpan b, std::size_t offset, std::uint16_t value) {
  detail::put_le<2>(b, offset, value);
}
constexpr void put_le32(ByteSpan b, std::size_t offset, std::uint32_t value) {
  detail::put_le<4>(b, offset, value);
}
constexpr void put_le64(ByteSpan b, std::size_t offset, std::uint64_t value) {
  detail::put_le<8>(b, offset, value);
}

inline ByteView as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace peerlane
