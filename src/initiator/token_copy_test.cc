#include "initiator/token_copy.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"
#include "initiator/testing/copying_target.h"
#include "io/testing.h"
#include "scsi/copy_results.h"
#include "scsi/sense_codes.h"
#include "scsi/token_parameters.h"

namespace peerlane::initiator {
namespace {

using namespace std::chrono_literals;
namespace codes = scsi::sense_codes;
using scsi::CopyOperationStatus;
using testing::StandInTarget;
using Answer = StandInTarget::Answer;

constexpr std::uint32_t kBlock = 512;
constexpr std::uint64_t kDisk = 1u << 20;
constexpr const char* kPlace = "within the target iqn.2026-11.dev.peerlane:target by ";

/// What becomes of a command: as it should, if nothing else is said.
struct Turn {
  std::optional<Answer> answer = {};                         // instead of doing anything
  std::optional<std::uint64_t> blocks = {};                  // that it does, instead of all
  CopyOperationStatus status = CopyOperationStatus::kDone;   // COPY OPERATION STATUS
  scsi::TransferUnits units = scsi::TransferUnits::kBlocks;  // TRANSFER COUNT UNITS
  bool token = true;                                         // it has one to give
};

/// A target with tokens, whose two disks are here, and which does what a test says with each command.
class TokenCopyTest : public testing::CopyingTargetTest {
 public:
  std::vector<std::uint8_t> from = std::vector<std::uint8_t>(kDisk);
  std::vector<std::uint8_t> to = std::vector<std::uint8_t>(kDisk);
  scsi::TokenLimits token_limits{.max_ranges = 1, .max_inactivity = 30, .max_blocks = 512, .optimal_blocks = 256};
  std::vector<Turn> populating = {};  // after the first POPULATE TOKEN, of which no use is made; then all goes well
  std::vector<Turn> writing = {};
  bool tokens_listed = true;
  std::optional<Answer> no_information = {};  // instead of RECEIVE ROD TOKEN INFORMATION

  unsigned populated = 0;
  std::vector<scsi::WriteUsingTokenParameters> writes;

  TokenCopyTest() {
    lid4 = true;
    for (std::size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::uint8_t>(i * 7 + (i >> 9));
  }

  using Script = io::Task<void> (*)(TokenCopyTest&);
  void play(Script script) {
    CopyingTargetTest::play([this, script] { return script(*this); });
  }

  bool equal(block::CopyRange range) const {
    const auto first = from.begin() + static_cast<std::ptrdiff_t>(range.from);
    const auto second = to.begin() + static_cast<std::ptrdiff_t>(range.to);
    return std::equal(first, first + static_cast<std::ptrdiff_t>(range.length), second);
  }

  /// Of the tokens that were made, those that were not deleted.
  std::size_t left_over() const { return tokens_.size(); }

 private:
  using Data = std::vector<std::uint8_t>;
  struct Operation {
    Turn turn;
    std::uint64_t blocks = 0;
    std::optional<scsi::RodTokenBytes> token = {};
  };

  std::optional<scsi::ThirdPartyCopyPage> page() const override {
    scsi::ThirdPartyCopyPage page;
    page.token_limits = token_limits;
    page.commands = {{0x83, {0x00, 0x01}}};
    if (tokens_listed) page.commands = {{0x83, {0x00, 0x01, 0x10, 0x11}}, {0x84, {0x03, 0x05, 0x07}}};
    return page;
  }

  std::optional<Answer> other_copy_command(const scsi::CopyCdb& cdb) override {
    if (cdb.operation == scsi::OperationCode::kThirdPartyCopyIn) {
      if (cdb.service_action != scsi::kReceiveRodTokenInformation) return std::nullopt;
      return no_information ? *no_information : information(cdb.list_identifier);
    }
    if (cdb.service_action == scsi::kPopulateToken) return populate(cdb);
    if (cdb.service_action == scsi::kWriteUsingToken) return write(cdb);
    return std::nullopt;
  }

  static Turn next(const std::vector<Turn>& turns, std::size_t number) {
    return number < turns.size() ? turns[number] : Turn{};
  }

  Answer populate(const scsi::CopyCdb& cdb) {
    const auto list = scsi::decode_populate_token(target.data(), token_limits);
    EXPECT_TRUE(list) << "not within the limits that were stated";
    const bool first = populated++ == 0;
    const Turn turn = first ? Turn{} : next(populating, populated - 2);
    if (turn.answer) return *turn.answer;
    const scsi::BlockRange range = list->ranges.at(0);
    const std::uint64_t blocks = turn.blocks.value_or(range.count.value);
    const auto begin = from.begin() + static_cast<std::ptrdiff_t>(range.lba.value * kBlock);
    scsi::RodTokenBytes token = {};
    token[0] = static_cast<std::uint8_t>(populated);
    put_be16(token, 6, scsi::kRodTokenBytes - 8);
    if (!first) tokens_[token] = Data(begin, begin + static_cast<std::ptrdiff_t>(blocks * kBlock));
    operations_[cdb.list_identifier] = {turn, blocks, token};
    return {};
  }

  Answer write(const scsi::CopyCdb& cdb) {
    const auto list = scsi::decode_write_using_token(target.data(), token_limits);
    EXPECT_TRUE(list) << "not within the limits that were stated";
    writes.push_back(*list);
    const Turn turn = next(writing, writes.size() - 1);
    const auto token = tokens_.find(list->token);
    EXPECT_NE(token, tokens_.end()) << "a token that was deleted, or never made";
    const scsi::BlockRange range = list->ranges.at(0);
    operations_[cdb.list_identifier] = {turn, turn.blocks.value_or(range.count.value)};
    const Data data = token->second;
    if (list->delete_token) tokens_.erase(token);
    if (turn.answer) return *turn.answer;
    EXPECT_EQ(data.size(), range.count.value * kBlock) << "as much as the token stands for";
    const auto bytes = static_cast<std::ptrdiff_t>(turn.blocks.value_or(range.count.value) * kBlock);
    std::copy(data.begin(), data.begin() + bytes, to.begin() + static_cast<std::ptrdiff_t>(range.lba.value * kBlock));
    return {};
  }

  Answer information(std::uint32_t identifier) {
    const auto found = operations_.find(identifier);
    if (found == operations_.end()) return unknown_command();
    const Operation& operation = found->second;
    if (!operation.token) ++questions;
    scsi::CopyStatus status;
    status.service_action = scsi::kPopulateToken;
    status.status = operation.turn.status;
    status.units = operation.turn.units;
    status.count = progress != 0 && !operation.token ? progress : operation.blocks;
    if (status.units == scsi::TransferUnits::kKibibytes) status.count = operation.blocks * kBlock >> 10;
    std::vector<scsi::MadeToken> tokens;
    if (operation.token && operation.turn.token) tokens.push_back({0, *operation.token});
    return {.data = scsi::encode_rod_token_information(status, tokens)};
  }

  std::map<scsi::RodTokenBytes, Data> tokens_;
  std::map<std::uint32_t, Operation> operations_;
};

Answer check(scsi::SenseKey key, scsi::SenseCode code) {
  return StandInTarget::check_condition(key, code);
}

constexpr block::CopyRange kRange{.from = 8192, .to = 65536, .length = 128u << 10};  // one token's

/// Has a range copied; the code of the error, and what is said of the place then.
struct Outcome {
  int code = -1;
  std::string place;
};
io::Task<Outcome> copy(TokenCopyTest& test, block::CopyRange range) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return Outcome{};
  EXPECT_EQ(std::string(kPlace) + "tokens", (*offered)->place());
  block::CopyWatch watch;
  const auto done = co_await (*offered)->copy(range, watch);
  co_return Outcome{done ? 0 : done.error().code, (*offered)->place()};
}

io::Task<void> expect_tokens(TokenCopyTest& test, block::CopyRange range) {
  const auto outcome = co_await copy(test, range);
  EXPECT_EQ(0, outcome.code);
  EXPECT_EQ(std::string(kPlace) + "tokens", outcome.place);
  EXPECT_TRUE(test.equal(range));
  EXPECT_TRUE(test.copies.empty());
  EXPECT_EQ(0U, test.left_over());
}

io::Task<void> expect_extended_copy_instead(TokenCopyTest& test) {
  const auto outcome = co_await copy(test, kRange);
  EXPECT_EQ(0, outcome.code);
  EXPECT_EQ(0U, outcome.place.find(std::string(kPlace) + "tokens, then EXTENDED COPY (")) << outcome.place;
  EXPECT_EQ(1U, test.copies.size());
}

// --- What is offered ---

io::Task<void> expect_most(TokenCopyTest& test, std::uint64_t most) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return;
  EXPECT_EQ(most, (*offered)->offer().most);
  EXPECT_EQ(kBlock, (*offered)->offer().unit);
}
TEST_F(TokenCopyTest, OneTokenForAsMuchAsTheTargetLikesBest) {
  play([](TokenCopyTest& test) { return expect_most(test, 128u << 10); });
  EXPECT_EQ(1U, populated);
  EXPECT_EQ(1U, probes) << "EXTENDED COPY is known beforehand, too";
}
TEST_F(TokenCopyTest, OneTokenForNoMoreThanTheTargetTakes) {
  token_limits.optimal_blocks = 0;
  play([](TokenCopyTest& test) { return expect_most(test, 256u << 10); });
}
TEST_F(TokenCopyTest, OneTokenForNoMoreThanWeAskForAtATime) {
  token_limits.optimal_blocks = UINT64_MAX;
  token_limits.max_blocks = 0;
  play([](TokenCopyTest& test) { return expect_most(test, limits::kThirdPartyBytes); });
}

io::Task<void> expect_extended_copy(TokenCopyTest& test) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return;
  EXPECT_EQ(std::string(kPlace) + "EXTENDED COPY", (*offered)->place());
  EXPECT_EQ(1U, (*offered)->offer().refusals.size());
}
TEST_F(TokenCopyTest, ATargetWithoutTokens) {
  tokens_listed = false;
  play(expect_extended_copy);
  EXPECT_EQ(0U, populated);
}
TEST_F(TokenCopyTest, ATargetThatMakesNone) {
  no_information = unknown_command();
  play(expect_extended_copy);
  EXPECT_EQ(1U, populated);
}
TEST_F(TokenCopyTest, ATargetWithTokensOnlyAndADiskWithoutAName) {
  named = false;
  play([](TokenCopyTest& test) { return expect_tokens(test, kRange); });
}

io::Task<void> expect_no_tokens_between_targets(TokenCopyTest& test) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  EXPECT_EQ(0U, test.populated);
}
TEST_F(TokenCopyTest, ATokenOfAnotherTargetIsNotTried) {
  other_target = true;
  luns = {{1}};
  play(expect_no_tokens_between_targets);
}

// --- How it goes ---

TEST_F(TokenCopyTest, ATokenCarriesTheDataAndIsDeletedAfterIt) {
  play([](TokenCopyTest& test) { return expect_tokens(test, kRange); });
  ASSERT_EQ(1U, writes.size());
  EXPECT_TRUE(writes[0].delete_token);
  EXPECT_FALSE(writes[0].immediate);
  EXPECT_EQ(0U, writes[0].offset);
}

TEST_F(TokenCopyTest, ALongerRangeTakesSeveral) {
  play(
      [](TokenCopyTest& test) { return expect_tokens(test, {.from = 512, .to = 1024, .length = (300u << 10) + 512}); });
  EXPECT_EQ(3U, writes.size());
}

TEST_F(TokenCopyTest, WhatIsLeftOverFollows) {
  writing = {{.blocks = 10, .status = CopyOperationStatus::kDoneResidual}, {}};
  play([](TokenCopyTest& test) { return expect_tokens(test, kRange); });
  ASSERT_EQ(2U, writes.size());
  EXPECT_EQ(scsi::Lba{kRange.to / kBlock + 10}, writes[1].ranges.at(0).lba);
}
TEST_F(TokenCopyTest, ATokenMayStandForLess) {
  populating = {{.blocks = 100, .status = CopyOperationStatus::kDoneResidual}};
  play([](TokenCopyTest& test) { return expect_tokens(test, kRange); });
  ASSERT_EQ(2U, writes.size());
  EXPECT_EQ(100U, writes[0].ranges.at(0).count.value);
}
TEST_F(TokenCopyTest, HowMuchMayBeSaidInKibibytes) {
  writing = {{.blocks = 6, .status = CopyOperationStatus::kDoneResidual, .units = scsi::TransferUnits::kKibibytes}};
  play([](TokenCopyTest& test) { return expect_tokens(test, kRange); });
  EXPECT_EQ(scsi::Lba{kRange.to / kBlock + 6}, writes.at(1).ranges.at(0).lba);
}

TEST_F(TokenCopyTest, DataThatChangeAreTakenAgain) {
  writing = {{.answer = check(scsi::SenseKey::kCopyAborted, codes::kTokenRevoked)},
             {.answer = check(scsi::SenseKey::kIllegalRequest, codes::kTokenExpired)}};
  play([](TokenCopyTest& test) { return expect_tokens(test, kRange); });
  EXPECT_EQ(3U, writes.size());
  EXPECT_NE(writes[0].token, writes[1].token);
}
TEST_F(TokenCopyTest, DataThatChangeAllTheTimeAreForTheOtherCommand) {
  writing.assign(100, {.answer = check(scsi::SenseKey::kIllegalRequest, codes::kTokenRevoked)});
  play(expect_extended_copy_instead);
  EXPECT_EQ(1 + limits::kTokenRemakes, writes.size());
}

TEST_F(TokenCopyTest, ALostConnectionMeansAnotherToken) {
  writing = {{.answer = Answer{.kind = Answer::Kind::kCut}}};
  play([](TokenCopyTest& test) { return expect_tokens(test, kRange); });
  EXPECT_EQ(2U, writes.size());
}
TEST_F(TokenCopyTest, ALostConnectionBeforeTheTokenIsThere) {
  populating = {{.answer = Answer{.kind = Answer::Kind::kCut}}};
  play([](TokenCopyTest& test) { return expect_tokens(test, kRange); });
}

// --- How it fails ---

TEST_F(TokenCopyTest, NoTokenInTheMiddle) {
  populating = {{.answer = check(scsi::SenseKey::kIllegalRequest, codes::kInsufficientResourcesForRodToken)}};
  play(expect_extended_copy_instead);
  EXPECT_TRUE(writes.empty());
}
TEST_F(TokenCopyTest, AReservationOfTheSource) {
  populating = {{.answer = Answer{.status = scsi::Status::kReservationConflict}}};
  play(expect_extended_copy_instead);
}
TEST_F(TokenCopyTest, ATokenThatIsNotThere) {
  populating = {{.token = false}};
  play(expect_extended_copy_instead);
}
TEST_F(TokenCopyTest, ATokenOfNothing) {
  populating = {{.blocks = 0, .status = CopyOperationStatus::kDoneResidual}};
  play(expect_extended_copy_instead);
}
TEST_F(TokenCopyTest, AWriteOfNothingDoesNotGoOnForEver) {
  writing.assign(100, {.blocks = 0, .status = CopyOperationStatus::kDoneResidual});
  play(expect_extended_copy_instead);
  EXPECT_EQ(1U, writes.size());
}
TEST_F(TokenCopyTest, AWriteThatDoesNotSayHowFarItCame) {
  writing = {{.blocks = 5, .status = CopyOperationStatus::kDoneResidual, .units = scsi::TransferUnits{0xf7}}};
  play(expect_extended_copy_instead);
}
TEST_F(TokenCopyTest, AWriteThatHasNotEnded) {
  writing = {{.status = CopyOperationStatus::kInBackground}};
  play(expect_extended_copy_instead);
}
TEST_F(TokenCopyTest, AWriteThatIsRefused) {
  writing = {{.answer = check(scsi::SenseKey::kCopyAborted, codes::kThirdPartyDeviceFailure)}};
  play(expect_extended_copy_instead);
}

io::Task<void> expect_extended_copy_from_then_on(TokenCopyTest& test) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return;
  block::CopyWatch watch;
  for (unsigned i = 0; i < 3; ++i) {
    const auto done = co_await (*offered)->copy(kRange, watch);
    EXPECT_TRUE(done) << done.error().text();
  }
  EXPECT_EQ(3U, test.copies.size());
  EXPECT_EQ(1U, test.writes.size());
}
TEST_F(TokenCopyTest, WhatWasRefusedIsNotAskedForAgain) {
  writing = {{.answer = check(scsi::SenseKey::kIllegalRequest, codes::kInvalidFieldInParameterList)}};
  play(expect_extended_copy_from_then_on);
}

io::Task<void> expect_code(TokenCopyTest& test, int code) {
  const auto outcome = co_await copy(test, kRange);
  EXPECT_EQ(code, outcome.code);
}
TEST_F(TokenCopyTest, OtherWaysAreLeftWhereThereIsNothingElse) {
  probe = check(scsi::SenseKey::kCopyAborted, codes::kCopyTargetNotReachable);
  writing = {{.answer = check(scsi::SenseKey::kCopyAborted, codes::kThirdPartyDeviceFailure)}};
  play([](TokenCopyTest& test) { return expect_code(test, ENOTSUP); });
  EXPECT_TRUE(copies.empty());
}
TEST_F(TokenCopyTest, OtherErrorsAreThoseOfAWrite) {
  writing = {{.answer = check(scsi::SenseKey::kDataProtect, codes::kSpaceAllocationFailed)}};
  play([](TokenCopyTest& test) { return expect_code(test, ENOSPC); });
  EXPECT_TRUE(copies.empty());
}

// --- While it goes on ---

/// Cancels when the target has told how far it is.
io::Task<void> cancel_soon(TokenCopyTest& test, block::CopyWatch& watch) {
  // What came before the second token, too.
  const std::uint64_t moved = (128u << 10) + test.progress * kBlock;
  co_await io::testing::until([&test, &watch, moved] { return test.questions >= 2 && watch.moved == moved; });
  EXPECT_EQ(moved, watch.moved);
  watch.canceled = true;
}
io::Task<void> cancel_a_copy(TokenCopyTest& test) {
  const auto offered = co_await test.offer();
  EXPECT_TRUE(offered) << offered.error().text();
  if (!offered) co_return;
  block::CopyWatch watch;
  io::spawn(cancel_soon(test, watch));
  block::CopyRange range = kRange;
  range.length *= 2;
  const auto began = io::Clock::now();
  const auto done = co_await (*offered)->copy(range, watch);
  EXPECT_EQ(ECANCELED, done ? 0 : done.error().code);
  EXPECT_LT(io::Clock::now() - began, 10s);
}
TEST_F(TokenCopyTest, ProgressIsToldAndACancelledCopyIsAborted) {
  progress = 77;
  writing = {{}, {.answer = Answer{.kind = Answer::Kind::kSilence}}};
  play(cancel_a_copy);
  EXPECT_EQ(1U, target.aborts());
  EXPECT_EQ(2U, writes.size());
  EXPECT_TRUE(copies.empty());
}

}  // namespace
}  // namespace peerlane::initiator
