#include "scsi/supported_opcodes.h"

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

const std::vector<SupportedCommand> kCommands{
    {.operation_code = 0x00, .cdb_length = 6},
    {.operation_code = 0x9e, .service_action = 0x10, .cdb_length = 16},
};

std::vector<std::uint8_t> encode(const std::vector<SupportedCommand>& commands, bool timeouts) {
  std::vector<std::uint8_t> out(256, 0xee);
  SupportedCommandsWriter writer(out, timeouts);
  for (const SupportedCommand& command : commands) EXPECT_TRUE(writer.add(command));
  out.resize(writer.finish());
  return out;
}

TEST(SupportedCommands, WithoutTimeouts) {
  const auto encoded = encode(kCommands, false);
  EXPECT_EQ(encoded, bytes("00 00 00 10 00 00 00 00 00 00 00 06 9e 00 00 10 00 01 00 10"));
  EXPECT_EQ(decode_supported_commands(encoded), kCommands);
}

TEST(SupportedCommands, WithTimeouts) {
  const auto encoded = encode(kCommands, true);
  EXPECT_EQ(encoded, bytes("00 00 00 28"
                           "00 00 00 00 00 02 00 06 00 0a 00 00 00 00 00 00 00 00 00 00"
                           "9e 00 00 10 00 03 00 10 00 0a 00 00 00 00 00 00 00 00 00 00"));
  EXPECT_EQ(decode_supported_commands(encoded), kCommands);
}

TEST(SupportedCommands, WriterStopsWhereThereIsNoRoom) {
  std::vector<std::uint8_t> out(4 + 8 + 7);
  SupportedCommandsWriter writer(out, false);
  EXPECT_TRUE(writer.add(kCommands[0]));
  EXPECT_FALSE(writer.add(kCommands[1]));
  EXPECT_EQ(writer.finish(), 12u);
  EXPECT_EQ(decode_supported_commands(out)->size(), 1u);
}

TEST(SupportedCommands, Truncations) {
  const auto whole = encode(kCommands, true);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<std::uint8_t> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto commands = decode_supported_commands(part);
    ASSERT_EQ(commands.has_value(), size >= 4);
    if (commands) {
      EXPECT_EQ(commands->size(), size >= 32 ? 2u : size >= 12 ? 1u : 0u) << size;
    }
  }
}

TEST(CommandSupport, OneCommand) {
  const auto usage = bytes("28 18 ff ff ff ff 1f ff ff 00");
  std::vector<std::uint8_t> out(64, 0xee);
  out.resize(encode_command_support({.support = Support::kStandard, .usage = usage}, false, out));
  EXPECT_EQ(out, bytes("00 03 00 0a 28 18 ff ff ff ff 1f ff ff 00"));
  auto decoded = decode_command_support(out);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->support, Support::kStandard);
  EXPECT_TRUE(std::ranges::equal(decoded->usage, usage));

  out.assign(64, 0xee);
  out.resize(encode_command_support({.support = Support::kStandard, .usage = usage}, true, out));
  EXPECT_EQ(out, bytes("00 83 00 0a 28 18 ff ff ff ff 1f ff ff 00 00 0a 00 00 00 00 00 00 00 00 00 00"));

  out.assign(64, 0xee);
  out.resize(encode_command_support({.support = Support::kNot, .usage = {}}, true, out));
  EXPECT_EQ(out, bytes("00 01 00 00"));
  EXPECT_FALSE(decode_command_support(bytes("00 03 00 0a 28 18 ff")));
}

TEST(CommandSupport, ReadsWhatTgtSends) {
  const auto data = bytes("00 83 00 0a 28 fe ff ff ff ff 00 ff ff 07 00 0a 00 00 00 00 00 00 00 00 00 00");
  const auto decoded = decode_command_support(data);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->support, Support::kStandard);
  EXPECT_EQ(decoded->usage.size(), 10u);
  EXPECT_EQ(decoded->usage[0], 0x28);
}

TEST(SupportedOpcodes, Timeouts) {
  std::vector<std::uint8_t> out(64, 0xee);
  SupportedCommandsWriter writer(out, true);
  EXPECT_TRUE(writer.add({.operation_code = 0x00, .cdb_length = 6}, {.nominal = 1, .recommended = 0x0102}));
  out.resize(writer.finish());
  EXPECT_EQ(out, bytes("00 00 00 14 00 00 00 00 00 02 00 06 00 0a 00 00 00 00 00 01 00 00 01 02"));

  const std::vector<std::uint8_t> usage{0x00, 0, 0, 0, 0, 4};
  const CommandSupport support{.support = Support::kStandard, .usage = usage, .timeouts = {2, 3}};
  out.assign(64, 0xee);
  out.resize(encode_command_support(support, true, out));
  EXPECT_EQ(decode_command_support(out)->timeouts, support.timeouts);
  EXPECT_EQ(decode_command_support(ByteView(out).first(out.size() - 1))->timeouts, CommandTimeouts{});
}

}  // namespace
}  // namespace peerlane::scsi
