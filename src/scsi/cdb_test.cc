#include "scsi/cdb.h"

#include <array>
#include <tuple>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

std::vector<std::uint8_t> encode(const BlockCdb& blocks) {
  std::array<std::uint8_t, kVariableLengthCdbBytes> out;
  out.fill(0xee);
  const std::size_t size = encode_block_cdb(blocks, out);
  for (std::size_t i = size; i < 16; ++i) EXPECT_EQ(out[i], 0);
  return {out.begin(), out.begin() + static_cast<std::ptrdiff_t>(size)};
}

/// A CDB as real initiators send it must decode to `expected`, and `expected` must encode to it.
void expect_cdb(std::string_view hex, const BlockCdb& expected) {
  auto cdb = bytes(hex);
  EXPECT_EQ(encode(expected), cdb) << hex;
  cdb.resize(std::max<std::size_t>(cdb.size(), 16));
  EXPECT_EQ(decode_block_cdb(cdb), expected) << hex;
}

TEST(BlockCdb, ReadsAndWrites) {
  expect_cdb("08 1f ff ff 01 00", {.operation = OperationCode::kRead6, .lba = {0x1fffff}, .count = {1}});
  expect_cdb("0a 00 00 01 ff 00", {.operation = OperationCode::kWrite6, .lba = {1}, .count = {255}});
  expect_cdb("28 00 12 34 56 78 00 9a bc 00",
             {.operation = OperationCode::kRead10, .lba = {0x12345678}, .count = {0x9abc}});
  expect_cdb("2a 18 ff ff ff ff 00 ff ff 00",
             {.operation = OperationCode::kWrite10, .lba = {0xffffffff}, .count = {0xffff}, .dpo = true, .fua = true});
  expect_cdb("a8 08 00 00 00 02 00 01 00 00 00 00",
             {.operation = OperationCode::kRead12, .lba = {2}, .count = {65536}, .fua = true});
  expect_cdb("aa f0 00 00 00 02 ff ff ff ff 00 00",
             {.operation = OperationCode::kWrite12, .lba = {2}, .count = {0xffffffff}, .protect = 7, .dpo = true});
  expect_cdb("88 20 12 34 56 78 9a bc de f0 00 00 00 08 00 00",
             {.operation = OperationCode::kRead16, .lba = {0x123456789abcdef0}, .count = {8}, .protect = 1});
  expect_cdb("8a 08 ff ff ff ff ff ff ff ff ff ff ff ff 00 00",
             {.operation = OperationCode::kWrite16, .lba = {UINT64_MAX}, .count = {UINT32_MAX}, .fua = true});
}

TEST(BlockCdb, TransferLengthZeroIs256InSixByteCdbsOnly) {
  EXPECT_EQ(decode_block_cdb(bytes("08 00 00 00 00 00")).count.value, 256u);
  EXPECT_EQ(decode_block_cdb(bytes("0a 00 00 00 00 00")).count.value, 256u);
  EXPECT_EQ(decode_block_cdb(bytes("28 00 00 00 00 00 00 00 00 00")).count.value, 0u);
  // 256 blocks encode to it.
  EXPECT_EQ(encode({.operation = OperationCode::kRead6, .count = {256}}), bytes("08 00 00 00 00 00"));
}

TEST(BlockCdb, OldLunBitsAreNotPartOfASixByteAddress) {
  EXPECT_EQ(decode_block_cdb(bytes("08 e0 00 07 01 00")).lba.value, 7u);
}

TEST(BlockCdb, OtherFamilies) {
  expect_cdb("2f 12 00 00 00 01 00 00 02 00",
             {.operation = OperationCode::kVerify10, .lba = {1}, .count = {2}, .dpo = true, .byte_check = 1});
  expect_cdb("8f 06 00 00 00 00 00 00 00 01 00 00 00 02 00 00",
             {.operation = OperationCode::kVerify16, .lba = {1}, .count = {2}, .byte_check = 3});
  expect_cdb("35 02 00 00 00 01 00 00 02 00",
             {.operation = OperationCode::kSynchronizeCache10, .lba = {1}, .count = {2}, .immediate = true});
  expect_cdb("91 02 00 00 00 00 00 00 00 01 00 00 00 02 00 00",
             {.operation = OperationCode::kSynchronizeCache16, .lba = {1}, .count = {2}, .immediate = true});
  expect_cdb("41 18 00 00 00 01 00 00 02 00",
             {.operation = OperationCode::kWriteSame10, .lba = {1}, .count = {2}, .anchor = true, .unmap = true});
  expect_cdb("93 09 00 00 00 00 00 00 00 01 00 00 00 02 00 00",
             {.operation = OperationCode::kWriteSame16, .lba = {1}, .count = {2}, .unmap = true, .no_data_out = true});
  // Bit 0 is obsolete in WRITE SAME(10).
  EXPECT_FALSE(decode_block_cdb(bytes("41 01 00 00 00 01 00 00 02 00")).no_data_out);
  // DPO and FUA's places mean other things, or nothing, elsewhere.
  const BlockCdb verify = decode_block_cdb(bytes("2f 08 00 00 00 01 00 00 02 00"));
  EXPECT_FALSE(verify.fua || verify.unmap);
}

TEST(BlockCdb, CommandsWithALayoutOfTheirOwn) {
  // As libiscsi sends it: two halves of two blocks.
  expect_cdb("89 18 00 00 00 00 00 00 00 05 00 00 00 02 00 00",
             {.operation = OperationCode::kCompareAndWrite, .lba = {5}, .count = {2}, .dpo = true, .fua = true});
  expect_cdb("9c 08 00 00 00 00 00 00 00 05 00 00 01 02 00 00",
             {.operation = OperationCode::kWriteAtomic16, .lba = {5}, .count = {0x102}, .fua = true});
  expect_cdb("8b 30 00 00 00 00 00 00 00 05 00 00 01 02 00 00",
             {.operation = OperationCode::kOrWrite16, .lba = {5}, .count = {0x102}, .protect = 1, .dpo = true});
  expect_cdb("af 02 00 00 00 05 00 00 01 02 00 00",
             {.operation = OperationCode::kVerify12, .lba = {5}, .count = {0x102}, .byte_check = 1});
  expect_cdb("34 02 00 00 00 05 00 01 02 00",
             {.operation = OperationCode::kPreFetch10, .lba = {5}, .count = {0x102}, .immediate = true});
  expect_cdb("90 02 00 00 00 00 00 00 00 05 00 00 01 02 00 00",
             {.operation = OperationCode::kPreFetch16, .lba = {5}, .count = {0x102}, .immediate = true});
}

TEST(BlockCdb, VariableLength) {
  constexpr auto kVariable = OperationCode::kVariableLength;
  expect_cdb("7f 00 00 00 00 00 00 18 00 09 38 00 12 34 56 78 9a bc de f0 00 00 00 00 00 00 00 00 00 00 00 08",
             {.operation = kVariable,
              .service_action = kRead32,
              .lba = {0x123456789abcdef0},
              .count = {8},
              .protect = 1,
              .dpo = true,
              .fua = true});
  expect_cdb("7f 00 00 00 00 00 00 18 00 0a 06 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 02",
             {.operation = kVariable, .service_action = kVerify32, .lba = {1}, .count = {2}, .byte_check = 3});
  expect_cdb("7f 00 00 00 00 00 00 18 00 0c 12 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 02",
             {.operation = kVariable,
              .service_action = kWriteAndVerify32,
              .lba = {1},
              .count = {2},
              .dpo = true,
              .byte_check = 1});
  expect_cdb("7f 00 00 00 00 00 00 18 00 0d 09 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 ff ff ff ff",
             {.operation = kVariable,
              .service_action = kWriteSame32,
              .lba = {1},
              .count = {UINT32_MAX},
              .unmap = true,
              .no_data_out = true});
}

TEST(BlockCdb, TransferLengthFieldsAreWhereTheyAre) {
  const auto at = [](OperationCode operation) {
    const CdbField field = transfer_length_field(operation);
    return std::tuple(int{field.offset}, int{field.width});
  };
  EXPECT_EQ(at(OperationCode::kRead6), std::tuple(4, 1));
  EXPECT_EQ(at(OperationCode::kRead10), std::tuple(7, 2));
  EXPECT_EQ(at(OperationCode::kRead12), std::tuple(6, 4));
  EXPECT_EQ(at(OperationCode::kRead16), std::tuple(10, 4));
  EXPECT_EQ(at(OperationCode::kCompareAndWrite), std::tuple(13, 1));
  EXPECT_EQ(at(OperationCode::kWriteAtomic16), std::tuple(12, 2));
  EXPECT_EQ(at(OperationCode::kVariableLength), std::tuple(28, 4));
}

TEST(Blocks, RangeChecksDoNotOverflow) {
  constexpr BlockCount kCapacity{100};
  EXPECT_TRUE(within({0}, {100}, kCapacity));
  EXPECT_TRUE(within({99}, {1}, kCapacity));
  EXPECT_TRUE(within({100}, {0}, kCapacity));
  EXPECT_FALSE(within({101}, {0}, kCapacity));
  EXPECT_FALSE(within({99}, {2}, kCapacity));
  EXPECT_FALSE(within({UINT64_MAX}, {1}, kCapacity));
  EXPECT_FALSE(within({1}, {UINT64_MAX}, kCapacity));
  EXPECT_FALSE(within({UINT64_MAX}, {0}, kCapacity));
  EXPECT_TRUE(within({UINT64_MAX - 1}, {1}, {UINT64_MAX}));
}

TEST(Opcodes, GroupCodesGiveLengths) {
  EXPECT_EQ(cdb_length(0x08), 6u);
  EXPECT_EQ(cdb_length(0x28), 10u);
  EXPECT_EQ(cdb_length(0x42), 10u);
  EXPECT_EQ(cdb_length(0x60), 0u);
  EXPECT_EQ(cdb_length(0x88), 16u);
  EXPECT_EQ(cdb_length(0xa8), 12u);
  EXPECT_EQ(cdb_length(0xc1), 0u);
}

}  // namespace
}  // namespace peerlane::scsi
