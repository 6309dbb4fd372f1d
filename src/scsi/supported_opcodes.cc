#include "scsi/supported_opcodes.h"

#include <algorithm>
#include <cassert>

namespace peerlane::scsi {
namespace {

// Command descriptor of all_commands (SPC-4 table 284).
constexpr std::size_t kServiceAction = 2;
constexpr std::size_t kFlags = 5;
constexpr std::uint8_t kTimeoutsPresent = 0x02;
constexpr std::uint8_t kHasServiceAction = 0x01;
constexpr std::size_t kCdbLength = 6;

// one_command (SPC-4 table 285).
constexpr std::size_t kOneCommandHeaderBytes = 4;
constexpr std::uint8_t kOneTimeoutsPresent = 0x80;
constexpr std::uint8_t kSupportMask = 0x07;
constexpr std::size_t kCdbSize = 2;

// Command timeouts descriptor (SPC-4 table 297).
constexpr std::size_t kNominalTimeout = 4;
constexpr std::size_t kRecommendedTimeout = 8;

std::size_t put_timeouts(const CommandTimeouts& timeouts, ByteSpan out) {
  std::fill_n(out.begin(), kCommandTimeoutsBytes, std::uint8_t{0});
  put_be16(out, 0, kCommandTimeoutsBytes - 2);
  put_be32(out, kNominalTimeout, timeouts.nominal);
  put_be32(out, kRecommendedTimeout, timeouts.recommended);
  return kCommandTimeoutsBytes;
}

}  // namespace

bool SupportedCommandsWriter::add(const SupportedCommand& command, const CommandTimeouts& timeouts) {
  const std::size_t bytes = kSupportedCommandBytes + (timeouts_ ? kCommandTimeoutsBytes : 0);
  if (size_ + bytes > out_.size()) return false;
  const ByteSpan descriptor = out_.subspan(size_, bytes);
  std::ranges::fill(descriptor, std::uint8_t{0});
  descriptor[0] = command.operation_code;
  put_be16(descriptor, kServiceAction, command.service_action.value_or(0));
  descriptor[kFlags] =
      static_cast<std::uint8_t>((command.service_action ? kHasServiceAction : 0) | (timeouts_ ? kTimeoutsPresent : 0));
  put_be16(descriptor, kCdbLength, command.cdb_length);
  if (timeouts_) put_timeouts(timeouts, descriptor.subspan(kSupportedCommandBytes));
  size_ += bytes;
  return true;
}

std::size_t SupportedCommandsWriter::finish() {
  put_be32(out_, 0, static_cast<std::uint32_t>(size_ - kSupportedCommandsHeaderBytes));
  return size_;
}

std::optional<std::vector<SupportedCommand>> decode_supported_commands(ByteView bytes) {
  if (bytes.size() < kSupportedCommandsHeaderBytes) return std::nullopt;
  ByteView rest = bytes.subspan(kSupportedCommandsHeaderBytes);
  rest = rest.first(std::min<std::size_t>(rest.size(), get_be32(bytes, 0)));
  std::vector<SupportedCommand> commands;
  while (rest.size() >= kSupportedCommandBytes) {
    SupportedCommand command{.operation_code = rest[0], .service_action = {}, .cdb_length = get_be16(rest, kCdbLength)};
    if ((rest[kFlags] & kHasServiceAction) != 0) {
      command.service_action = get_be16(rest, kServiceAction);
    }
    commands.push_back(command);
    const bool timeouts = (rest[kFlags] & kTimeoutsPresent) != 0;
    rest = rest.subspan(std::min(rest.size(), kSupportedCommandBytes + (timeouts ? kCommandTimeoutsBytes : 0)));
  }
  return commands;
}

std::size_t encode_command_support(const CommandSupport& command, bool timeouts, ByteSpan out) {
  assert(out.size() >= kOneCommandHeaderBytes + command.usage.size() + kCommandTimeoutsBytes);
  const bool with_timeouts = timeouts && !command.usage.empty();
  out[0] = 0;
  out[1] =
      static_cast<std::uint8_t>(static_cast<unsigned>(command.support) | (with_timeouts ? kOneTimeoutsPresent : 0u));
  put_be16(out, kCdbSize, static_cast<std::uint16_t>(command.usage.size()));
  std::ranges::copy(command.usage, out.subspan(kOneCommandHeaderBytes).begin());
  std::size_t size = kOneCommandHeaderBytes + command.usage.size();
  if (with_timeouts) size += put_timeouts(command.timeouts, out.subspan(size));
  return size;
}

std::optional<CommandSupport> decode_command_support(ByteView bytes) {
  if (bytes.size() < kOneCommandHeaderBytes) return std::nullopt;
  const std::size_t cdb_size = get_be16(bytes, kCdbSize);
  if (cdb_size > bytes.size() - kOneCommandHeaderBytes) return std::nullopt;
  CommandSupport command{.support = static_cast<Support>(bytes[1] & kSupportMask),
                         .usage = bytes.subspan(kOneCommandHeaderBytes, cdb_size)};
  const ByteView rest = bytes.subspan(kOneCommandHeaderBytes + cdb_size);
  if ((bytes[1] & kOneTimeoutsPresent) != 0 && rest.size() >= kCommandTimeoutsBytes) {
    command.timeouts = {get_be32(rest, kNominalTimeout), get_be32(rest, kRecommendedTimeout)};
  }
  return command;
}

}  // namespace peerlane::scsi
