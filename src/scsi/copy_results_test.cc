#include "scsi/copy_results.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "scsi/testing.h"

namespace peerlane::scsi {
namespace {

using testing::bytes;

std::vector<std::uint8_t> first(const std::vector<std::uint8_t>& bytes, std::size_t size) {
  return {bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
}

CopyStatus ended() {
  return {.service_action = kWriteUsingToken,
          .status = CopyOperationStatus::kFailed,
          .operations = 0x0102,
          .update_delay = kUpdateDelayEnded,
          .completion = 2,
          .units = TransferUnits::kBlocks,
          .count = 0x1122334455667788,
          .segments = 3,
          .sense = {0x72, 0x0a, 0x0d, 0x02, 0, 0, 0, 0}};
}

const auto kEnded = bytes(
    "00 00 00 24 11 02 01 02 ff ff ff fe 02 08 08 f1 11 22 33 44 55 66 77 88 00 03 00 00 00 00 00 00"
    "72 0a 0d 02 00 00 00 00");

MadeToken made(std::uint16_t cscd) {
  MadeToken made{.cscd = cscd, .token = block_zero_rod_token()};
  made.token[0] = 0;
  made.token[511] = static_cast<std::uint8_t>(cscd);
  return made;
}

TEST(CopyResults, TransferCounts) {
  EXPECT_EQ(transferred_bytes(TransferUnits::kBytes, 5), 5u);
  EXPECT_EQ(transferred_bytes(TransferUnits::kMebibytes, 5), 5u << 20);
  EXPECT_EQ(transferred_bytes(TransferUnits::kExbibytes, 15), std::uint64_t{15} << 60);
  EXPECT_EQ(transferred_bytes(TransferUnits::kExbibytes, 16), UINT64_MAX);
  EXPECT_EQ(transferred_bytes(TransferUnits::kBlocks, 1), std::nullopt);
  EXPECT_EQ(transferred_bytes(static_cast<TransferUnits>(7), 1), std::nullopt);
  for (const std::uint64_t total : {std::uint64_t{0}, std::uint64_t{UINT32_MAX}, std::uint64_t{1} << 32,
                                    (std::uint64_t{1} << 42) - 1, std::uint64_t{1} << 42, std::uint64_t{UINT64_MAX}}) {
    CopyStatusLid1 status;
    set_transferred(status, total);
    const auto told = transferred_bytes(status.units, status.count);
    ASSERT_TRUE(told);
    EXPECT_LE(*told, total);
    EXPECT_GE(*told, total - total / 1000);
  }
}

TEST(CopyResults, StatusLid1) {
  CopyStatusLid1 status{.held_data_discarded = true, .status = CopyCommandStatus::kFailed, .segments = 0x0102};
  set_transferred(status, std::uint64_t{3} << 40);
  const auto encoded = encode_copy_status(status);
  EXPECT_EQ(encoded, bytes("00 00 00 08 82 01 02 01 c0 00 00 00"));
  EXPECT_EQ(decode_copy_status_lid1(encoded), status);
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    EXPECT_FALSE(decode_copy_status_lid1(first(encoded, size)));
  }
  auto less = encoded;
  less[3] = 7;
  EXPECT_FALSE(decode_copy_status_lid1(less));
}

TEST(CopyResults, FailureDetails) {
  const CopyFailure failure{.status = 2, .sense = {0x70, 0, 0x0a}};
  const auto encoded = encode_copy_failure(failure);
  ASSERT_EQ(encoded.size(), 63u);
  EXPECT_EQ(first(encoded, 5), bytes("00 00 00 3b 00"));
  EXPECT_EQ(std::vector<std::uint8_t>(encoded.begin() + 55, encoded.end()), bytes("00 02 00 00 03 70 00 0a"));
  EXPECT_EQ(decode_copy_failure(encoded), failure);
  EXPECT_EQ(encode_copy_failure(std::nullopt), bytes("00 00 00 00"));
  EXPECT_FALSE(decode_copy_failure(bytes("00 00 00 00")));
  // FreeBSD says that there is nothing, and sends it.
  std::vector<std::uint8_t> nothing(60);
  EXPECT_FALSE(decode_copy_failure(nothing));
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    const auto decoded = decode_copy_failure(first(encoded, size));
    ASSERT_EQ(decoded.has_value(), size >= 60);
    if (decoded) {
      EXPECT_EQ(decoded->sense.size(), size - 60);
    }
  }
}

TEST(CopyResults, HeldData) {
  const auto encoded = encode_held_data(bytes("01 02 03"));
  EXPECT_EQ(encoded, bytes("00 00 00 03 01 02 03"));
  EXPECT_EQ(decode_held_data(encoded)->size(), 3u);
  EXPECT_EQ(decode_held_data(first(encoded, 5))->size(), 1u);
  EXPECT_FALSE(decode_held_data(first(encoded, 3)));
  EXPECT_EQ(decode_held_data(bytes("ff ff ff ff 01"))->size(), 1u);
}

TEST(CopyResults, StatusLid4) {
  EXPECT_EQ(encode_copy_status(ended()), kEnded);
  EXPECT_EQ(decode_copy_status(kEnded), ended());
  for (std::size_t size = 0; size < kEnded.size(); ++size) {
    const auto decoded = decode_copy_status(first(kEnded, size));
    ASSERT_EQ(decoded.has_value(), size >= 32);
    if (decoded) {
      EXPECT_EQ(decoded->sense.size(), size - 32);
    }
  }
  // A field for sense data that is not filled.
  auto padded = kEnded;
  padded[14] = 4;
  EXPECT_EQ(decode_copy_status(padded)->sense.size(), 4u);
  padded[14] = 0xff;
  EXPECT_EQ(decode_copy_status(padded)->sense.size(), 8u);
  EXPECT_TRUE(in_progress(CopyOperationStatus::kInProgress));
  EXPECT_TRUE(in_progress(CopyOperationStatus::kInBackground));
  EXPECT_FALSE(in_progress(CopyOperationStatus::kDoneResidual));
  EXPECT_FALSE(in_progress(CopyOperationStatus::kTerminated));
}

TEST(CopyResults, DataLid4) {
  const auto encoded = encode_copy_data(ended(), bytes("aa bb"));
  EXPECT_EQ(encoded.size(), kEnded.size() + 6);
  EXPECT_EQ(first(encoded, 4), bytes("00 00 00 2a"));
  EXPECT_EQ(std::vector<std::uint8_t>(encoded.end() - 6, encoded.end()), bytes("00 00 00 02 aa bb"));
  EXPECT_EQ(decode_copy_status(encoded), ended());
  EXPECT_EQ(decode_copy_data(encoded)->size(), 2u);
  EXPECT_EQ(decode_copy_data(first(encoded, encoded.size() - 1))->size(), 1u);
  EXPECT_FALSE(decode_copy_data(first(encoded, encoded.size() - 3)));
}

TEST(CopyResults, RodTokenInformation) {
  // As FreeBSD answers after POPULATE TOKEN.
  CopyStatus status{.service_action = kPopulateToken, .status = CopyOperationStatus::kDone, .count = 16};
  status.units = TransferUnits::kBlocks;
  const std::vector<MadeToken> one{made(0)};
  const auto encoded = encode_rod_token_information(status, one);
  EXPECT_EQ(first(encoded, 44),
            bytes("00 00 02 22 10 01 00 00 ff ff ff ff 00 00 00 f1 00 00 00 00 00 00 00 10 00 00 00 00"
                  "00 00 00 00 00 00 02 02 00 00 00 ff 00 01 00 00"));
  EXPECT_EQ(decode_copy_status(encoded), status);
  EXPECT_EQ(decode_rod_token_information(encoded), one);

  const std::vector<MadeToken> several{made(1), made(0x7ff), made(0xffff)};
  const auto all = encode_rod_token_information(ended(), several);
  EXPECT_EQ(decode_rod_token_information(all), several);
  EXPECT_EQ(decode_copy_status(all), ended());
  for (std::size_t size = 0; size < all.size(); ++size) {
    const auto decoded = decode_rod_token_information(first(all, size));
    ASSERT_EQ(decoded.has_value(), size >= kEnded.size() + 4) << size;
    if (decoded) {
      EXPECT_EQ(decoded->size(), (size - kEnded.size() - 4) / 514);
    }
  }
  const auto none = encode_rod_token_information(ended(), {});
  EXPECT_EQ(decode_rod_token_information(none)->size(), 0u);
}

TEST(CopyResults, TokensOfOtherLengthsAreSkipped) {
  std::vector<std::uint8_t> data = encode_copy_status(ended());
  data.insert(data.end(), {0, 0, 0x02, 0x0e, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2, 0xaa, 0xbb});  // a token of ten bytes
  const auto token = made(5);
  data.insert(data.end(), {0, 5});
  data.insert(data.end(), token.token.begin(), token.token.end());
  put_be32(data, 0, static_cast<std::uint32_t>(data.size() - 4));
  const auto decoded = decode_rod_token_information(data);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(*decoded, std::vector<MadeToken>{token});
}

TEST(CopyResults, AllRodTokens) {
  const std::vector<RodManagementToken> tokens{management_token(made(1).token), management_token(made(2).token)};
  const auto encoded = encode_all_rod_tokens(tokens);
  EXPECT_EQ(first(encoded, 12), bytes("00 00 00 c4 00 00 00 00 00 ff 00 01"));
  EXPECT_EQ(encoded.size(), 8u + 2 * 96);
  EXPECT_EQ(decode_all_rod_tokens(encoded), tokens);
  for (std::size_t size = 0; size < encoded.size(); ++size) {
    const auto decoded = decode_all_rod_tokens(first(encoded, size));
    ASSERT_EQ(decoded.has_value(), size >= 8);
    if (decoded) {
      EXPECT_EQ(decoded->size(), (size - 8) / 96);
    }
  }
  EXPECT_EQ(encode_all_rod_tokens({}), bytes("00 00 00 04 00 00 00 00"));
}

TEST(CopyResults, AnyBytesAreReadWithinTheirBounds) {
  std::mt19937 random(6);
  const std::vector<MadeToken> tokens{made(1), made(2)};
  const auto whole = encode_rod_token_information(ended(), tokens);
  for (unsigned round = 0; round < 20000; ++round) {
    auto data = whole;
    data.resize(random() % (whole.size() + 1));
    for (unsigned damage = random() % 8; damage > 0 && !data.empty(); --damage) {
      data[random() % std::min<std::size_t>(data.size(), 64)] = static_cast<std::uint8_t>(random());
    }
    decode_rod_token_information(data);
    decode_all_rod_tokens(data);
    decode_copy_data(data);
    decode_held_data(data);
    decode_copy_failure(data);
    decode_copy_status_lid1(data);
    if (const auto status = decode_copy_status(data)) {
      auto again = *status;
      again.sense.resize(std::min<std::size_t>(again.sense.size(), 252));
      EXPECT_EQ(decode_copy_status(encode_copy_status(again)), again);
    }
  }
}

}  // namespace
}  // namespace peerlane::scsi
